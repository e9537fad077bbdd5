/*
 * The structured code that flow.c makes of random graphs, reducible and not: what it calls back is
 * kept as a program of blocks, loops, dispatches and code, and every edge of the graph is walked in
 * it, as WebAssembly would. Follows emit.c in how an edge becomes a branch.
 */
#include <stdlib.h>

#include "jit-wasm/emit.h"
#include "test.h"

enum { MAX_TOKENS = 4096, MAX_EDGES = 12 };
enum kind { T_OPEN, T_LOOP, T_END, T_DISPATCH, T_CODE };

struct token {
    enum kind kind;
    int block, match;                     /* of T_CODE; of T_OPEN its end, of T_END its start */
    int count, to[REGION_MAX_BLOCKS];     /* T_DISPATCH: the tokens that begin the labels */
    int set[MAX_EDGES], label[MAX_EDGES]; /* T_CODE, by edge: the dispatch local, the label's token;
                                             -1: as it is; falls through */
};

static struct {
    const struct region_code *r;
    struct token t[MAX_TOKENS];
    int count, depth, open[MAX_TOKENS];
    int label[REGION_MAX_BLOCKS], dispatch[REGION_MAX_BLOCKS];
    int code_at[REGION_MAX_BLOCKS];
    bool bad;
} p;

static struct region_code graph;
static uint64_t seed = 1;

static unsigned rnd(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static struct token *add(enum kind kind)
{
    if (p.count == MAX_TOKENS) {
        p.bad = true;
        return &p.t[0];
    }
    p.t[p.count].kind = kind;
    return &p.t[p.count++];
}

static void open_as(enum kind kind, const int16_t *blocks, int count)
{
    add(kind);
    p.open[++p.depth] = p.count - 1;
    for (int k = 0; k < count; k++) {
        p.label[blocks[k]] = p.depth;
        p.dispatch[blocks[k]] = count > 1 ? k : -1;
    }
}
static void on_open(void *ctx, const int16_t *entries, int count)
{
    open_as(T_OPEN, entries, count);
}
static void on_loop(void *ctx, const int16_t *headers, int count)
{
    open_as(T_LOOP, headers, count);
}
static void on_close(void *ctx)
{
    struct token *t = add(T_END);
    t->match = p.open[p.depth];
    p.t[t->match].match = p.count - 1;
    p.bad |= --p.depth < 0;
}
static void on_dispatch(void *ctx, const int *depths, int count)
{
    struct token *t = add(T_DISPATCH);
    t->count = count;
    for (int k = 0; k < count; k++) {
        p.bad |= depths[k] < 0 || depths[k] >= p.depth;
        t->to[k] = p.bad ? 0 : p.open[p.depth - depths[k]];
    }
}
static void on_code(void *ctx, int block, int fall)
{
    struct token *t = add(T_CODE);
    const struct rblock *b = &p.r->blocks[block];
    p.bad |= p.code_at[block] >= 0; /* once only */
    p.code_at[block] = p.count - 1;
    t->block = block;
    for (unsigned k = 0; k < succ_count(b); k++) {
        int to = succ_of(p.r, b, k);
        if (to < 0)
            continue;
        t->set[k] = p.dispatch[to];
        t->label[k] = -1;
        if (to == fall && b->end != BE_SWITCH) /* switches always branch */
            continue;
        p.bad |= p.label[to] <= 0 || p.label[to] > p.depth;
        t->label[k] = p.bad ? 0 : p.open[p.label[to]];
    }
}

/* Where a branch to the label that token @at opens goes on. */
static int after_branch(int at)
{
    return p.t[at].kind == T_LOOP ? at + 1 : p.t[at].match + 1;
}

/* The block whose code comes first from token @at on. */
static int next_code(int at, unsigned local)
{
    for (int steps = 0; steps < 4 * MAX_TOKENS && at < p.count; steps++) {
        const struct token *t = &p.t[at];
        if (t->kind == T_CODE)
            return t->block;
        if (t->kind == T_DISPATCH)
            at = after_branch(t->to[local < (unsigned)t->count ? local : (unsigned)t->count - 1]);
        else
            at++;
    }
    return OUTSIDE;
}

/* A graph of at most @size blocks, all of them reached from block 0. @near: how far edges go. */
static void make_graph(int size, int near)
{
    static struct rblock all[REGION_MAX_BLOCKS];
    int16_t number[REGION_MAX_BLOCKS], found[REGION_MAX_BLOCKS];
    int count = 0;
    for (int k = 0; k < size; k++) {
        all[k] = (struct rblock){ .succ = { OUTSIDE, OUTSIDE } };
        for (int s = 0; s < 2; s++) {
            int to = s == 0 && rnd(2) ? k + 1 : k - near + (int)rnd(2 * (unsigned)near + 1);
            if (to < 0 || to >= size || rnd(12) == 0)
                to = OUTSIDE;
            all[k].succ[s] = (int16_t)to;
        }
    }
    memset(number, 0xff, sizeof number);
    number[0] = 0;
    found[count++] = 0;
    for (int k = 0; k < count; k++)
        for (int s = 0; s < 2; s++) {
            int to = all[found[k]].succ[s];
            if (to >= 0 && number[to] < 0) {
                number[to] = (int16_t)count;
                found[count++] = (int16_t)to;
            }
        }
    graph.block_count = (unsigned)count;
    graph.target_count = 0;
    for (int k = 0; k < count; k++) {
        struct rblock *b = &graph.blocks[k];
        *b = all[found[k]];
        for (int s = 0; s < 2; s++)
            b->succ[s] = b->succ[s] < 0 ? OUTSIDE : number[b->succ[s]];
    }
}

/* Some blocks become switches to up to MAX_EDGES others, one of which is where they went before. */
static void add_switches(void)
{
    for (unsigned k = 0; k < graph.block_count; k++) {
        struct rblock *b = &graph.blocks[k];
        unsigned n = 1 + rnd(MAX_EDGES - 1);
        if (b->succ[1] != OUTSIDE || b->succ[0] == OUTSIDE || rnd(3) ||
            graph.target_count + n > REGION_MAX_BLOCKS)
            continue;
        b->end = BE_SWITCH;
        b->first_target = (uint16_t)graph.target_count;
        graph.targets[graph.target_count++] = b->succ[0];
        for (unsigned t = 1; t < n; t++) {
            int16_t to = (int16_t)rnd(graph.block_count);
            bool known = false;
            for (unsigned u = b->first_target; u < graph.target_count; u++)
                known |= graph.targets[u] == to;
            if (!known)
                graph.targets[graph.target_count++] = to;
        }
        b->target_count = (uint16_t)(graph.target_count - b->first_target);
        b->succ[0] = OUTSIDE;
    }
}

static void structure(void)
{
    static const struct flow_ops ops = {
        on_open, on_close, on_loop, on_dispatch, on_close, on_code
    };
    p.r = &graph;
    p.count = p.depth = 0;
    p.bad = false;
    memset(p.label, 0, sizeof p.label);
    memset(p.dispatch, 0xff, sizeof p.dispatch);
    memset(p.code_at, 0xff, sizeof p.code_at);
    flow_structure(&graph, &ops, NULL);
}

static void check_graph(void)
{
    structure();
    CHECK(!p.bad);
    CHECK_EQ(p.depth, 0);
    CHECK_EQ(next_code(0, rnd(8)), 0);
    for (unsigned k = 0; k < graph.block_count; k++) {
        const struct rblock *b = &graph.blocks[k];
        CHECK(p.code_at[k] >= 0);
        const struct token *t = &p.t[p.code_at[k]];
        for (unsigned s = 0; s < succ_count(b); s++) {
            int to = succ_of(&graph, b, s);
            if (to < 0)
                continue;
            unsigned local = t->set[s] >= 0 ? (unsigned)t->set[s] : rnd(8);
            int at = t->label[s] < 0 ? p.code_at[k] + 1 : after_branch(t->label[s]);
            CHECK_EQ(next_code(at, local), to);
        }
    }
}

/* Blocks that look at the budget cut every cycle: without them, blocks can be taken away one by one
 * whose predecessors are all gone. */
static void check_loops(void)
{
    static bool gone[REGION_MAX_BLOCKS];
    bool any = true;
    flow_mark_loops(&graph);
    memset(gone, 0, sizeof gone);
    while (any) {
        any = false;
        for (unsigned k = 0; k < graph.block_count; k++) {
            bool busy = false;
            for (unsigned u = 0; u < graph.block_count && !busy; u++)
                for (unsigned s = 0; s < succ_count(&graph.blocks[u]); s++)
                    busy |= !gone[u] && succ_of(&graph, &graph.blocks[u], s) == (int)k;
            if (!gone[k] && (!busy || graph.blocks[k].loop_check))
                gone[k] = any = true;
        }
    }
    for (unsigned k = 0; k < graph.block_count; k++)
        CHECK(gone[k]);
}

static void random_graphs(void)
{
    for (int n = 0; n < 4000 && !test_failures; n++) {
        int size = 1 + (int)rnd(n % 16 == 0 ? 190 : 24);
        make_graph(size, 1 + (int)rnd((unsigned)size));
        if (n % 2)
            add_switches();
        check_graph();
        check_loops();
        if (test_failures)
            printf("graph %d of %u blocks\n", n, graph.block_count);
    }
}

static void straight_code_needs_no_loop(void)
{
    make_graph(1, 1);
    graph.block_count = 3;
    for (int k = 0; k < 3; k++)
        graph.blocks[k] =
            (struct rblock){ .succ = { (int16_t)(k < 2 ? k + 1 : OUTSIDE), OUTSIDE } };
    check_graph();
    for (int k = 0; k < p.count; k++)
        CHECK(p.t[k].kind != T_LOOP && p.t[k].kind != T_DISPATCH);
}

static void two_ways_into_a_loop_dispatch(void)
{
    /* 0 -> 1, 2; 1 -> 2; 2 -> 1 */
    graph.block_count = 3;
    graph.blocks[0] = (struct rblock){ .succ = { 1, 2 } };
    graph.blocks[1] = (struct rblock){ .succ = { 2, OUTSIDE } };
    graph.blocks[2] = (struct rblock){ .succ = { 1, OUTSIDE } };
    check_graph();
    int dispatches = 0;
    for (int k = 0; k < p.count; k++)
        dispatches += p.t[k].kind == T_DISPATCH;
    CHECK_EQ(dispatches, 1);
}

int main(void)
{
    RUN(straight_code_needs_no_loop);
    RUN(two_ways_into_a_loop_dispatch);
    RUN(random_graphs);
    return test_done();
}
