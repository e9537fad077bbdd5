/*
 * The order of a region's blocks and the WebAssembly structure around them.
 *
 * A set of blocks is cut into its strongly connected components in topological order. Each
 * component but the first gets a label that ends right before its code, so all forward edges are
 * branches out of nested blocks. A component of several blocks (or with an edge to itself) becomes
 * a loop: with one entry, that is the loop's header, edges to it are branches to the loop, and the
 * rest is structured again without them. With several entries (code that jumps into the middle of a
 * loop) the loop starts with a dispatch on a local
 * that every edge to one of the entries sets first. So any graph can be expressed, and only truly
 * irreducible loops pay for it.
 */
#include <string.h>

#include "jit-wasm/emit.h"

struct flow {
    const struct region_code *r;
    const struct flow_ops *ops;
    void *ctx;
    uint8_t cut[REGION_MAX_BLOCKS]; /* edges to this block are not part of the graph any more */
};

struct scope {
    struct flow *f;
    uint8_t in[REGION_MAX_BLOCKS];
    int16_t index[REGION_MAX_BLOCKS], low[REGION_MAX_BLOCKS];
    uint8_t on_stack[REGION_MAX_BLOCKS];
    int16_t stack[REGION_MAX_BLOCKS], depth;
    int16_t next_index;
    int16_t comp_of[REGION_MAX_BLOCKS];
    int16_t order[REGION_MAX_BLOCKS]; /* blocks, components one after the other, last first */
    int16_t first[REGION_MAX_BLOCKS + 1];
    int16_t comps;
    int16_t blocks;
};

/* Tarjan's algorithm; components come out in reverse topological order. */
static void visit(struct scope *s, int v)
{
    const struct rblock *b = &s->f->r->blocks[v];
    s->index[v] = s->low[v] = s->next_index++;
    s->stack[s->depth++] = (int16_t)v;
    s->on_stack[v] = 1;
    for (unsigned k = 0; k < succ_count(b); k++) {
        int w = succ_of(s->f->r, b, k);
        if (w < 0 || !s->in[w] || s->f->cut[w])
            continue;
        if (s->index[w] < 0) {
            visit(s, w);
            if (s->low[w] < s->low[v])
                s->low[v] = s->low[w];
        } else if (s->on_stack[w] && s->index[w] < s->low[v]) {
            s->low[v] = s->index[w];
        }
    }
    if (s->low[v] != s->index[v])
        return;
    int w;
    do {
        w = s->stack[--s->depth];
        s->on_stack[w] = 0;
        s->comp_of[w] = s->comps;
        s->order[s->blocks++] = (int16_t)w;
    } while (w != v);
    s->first[++s->comps] = s->blocks;
}

static bool has_edge(const struct scope *s, int from, int to)
{
    const struct rblock *b = &s->f->r->blocks[from];
    for (unsigned k = 0; k < succ_count(b); k++)
        if (succ_of(s->f->r, b, k) == to)
            return true;
    return false;
}

static void structure(struct flow *f, const int16_t *blocks, int count, const int16_t *roots,
                      int root_count, int fall);

/* Is @v one of @roots? */
static bool among(const int16_t *roots, int count, int v)
{
    for (int k = 0; k < count; k++)
        if (roots[k] == v)
            return true;
    return false;
}

/* Blocks of component @k that are entered from outside of it, a root first. */
static int entries_of(const struct scope *s, int k, const int16_t *roots, int root_count,
                      int16_t *entries)
{
    int n = 0;
    for (int at = s->first[k]; at < s->first[k + 1]; at++) {
        int16_t v = s->order[at];
        bool root = among(roots, root_count, v), entry = root;
        for (int u = 0; !entry && !s->f->cut[v] && u < s->blocks; u++)
            entry = s->comp_of[s->order[u]] != k && has_edge(s, s->order[u], v);
        if (!entry)
            continue;
        entries[n++] = v;
        if (root) {
            entries[n - 1] = entries[0];
            entries[0] = v;
        }
    }
    return n;
}

/* Opens the label of component @k: branches to its entries from now on go there. A root's stay as
 * they are, at the loop around. */
static void open_label(struct scope *s, int k, const int16_t *roots, int root_count)
{
    int16_t entries[REGION_MAX_BLOCKS];
    int n = entries_of(s, k, roots, root_count, entries);
    if (n == 1 && among(roots, root_count, entries[0]))
        n = 0;
    s->f->ops->open(s->f->ctx, entries, n);
}

static void component(struct scope *s, int k, const int16_t *roots, int root_count, int fall)
{
    struct flow *f = s->f;
    int16_t entries[REGION_MAX_BLOCKS];
    int v = s->order[s->first[k]], n;
    if (s->first[k + 1] - s->first[k] == 1 && (f->cut[v] || !has_edge(s, v, v))) {
        f->ops->code(f->ctx, v, fall);
        return;
    }
    n = entries_of(s, k, roots, root_count, entries);
    for (int e = 0; e < n; e++)
        f->cut[entries[e]]++;
    f->ops->loop(f->ctx, entries, n);
    structure(f, &s->order[s->first[k]], s->first[k + 1] - s->first[k], entries, n, fall);
    f->ops->end_loop(f->ctx);
    for (int e = 0; e < n; e++)
        f->cut[entries[e]]--;
}

/* @roots: where the code before goes on. One: it falls into it. Several: the entries of the loop
 * that was just opened, which dispatches. @fall: the block that follows the whole. */
static void structure(struct flow *f, const int16_t *blocks, int count, const int16_t *roots,
                      int root_count, int fall)
{
    struct scope s;
    int16_t entries[REGION_MAX_BLOCKS];
    s.f = f;
    s.depth = s.next_index = s.comps = s.blocks = 0;
    s.first[0] = 0;
    memset(s.in, 0, sizeof s.in);
    memset(s.index, 0xff, sizeof s.index);
    memset(s.on_stack, 0, sizeof s.on_stack);
    for (int k = 0; k < count; k++)
        s.in[blocks[k]] = 1;
    for (int k = root_count - 1; k >= 0; k--)
        if (s.index[roots[k]] < 0)
            visit(&s, roots[k]);

    /* The last component's label is the outermost. */
    int labels = root_count > 1 ? s.comps : s.comps - 1;
    for (int k = 0; k < labels; k++)
        open_label(&s, k, roots, root_count);
    if (root_count > 1) {
        int depths[REGION_MAX_BLOCKS];
        for (int k = 0; k < root_count; k++)
            depths[k] = s.comps - 1 - s.comp_of[roots[k]];
        f->ops->dispatch(f->ctx, depths, root_count);
    }
    for (int k = s.comps - 1; k >= 0; k--) {
        int next = fall;
        if (k < labels)
            f->ops->close(f->ctx);
        if (k > 0)
            next = entries_of(&s, k - 1, roots, root_count, entries) == 1 ? entries[0] : OUTSIDE;
        if (k > 0 && next >= 0 && among(roots, root_count, next))
            next = OUTSIDE; /* that edge goes through the loop's head */
        component(&s, k, roots, root_count, next);
    }
}

void flow_structure(const struct region_code *r, const struct flow_ops *ops, void *ctx)
{
    struct flow f = { .r = r, .ops = ops, .ctx = ctx };
    int16_t blocks[REGION_MAX_BLOCKS], root = 0;
    for (unsigned k = 0; k < r->block_count; k++)
        blocks[k] = (int16_t)k;
    structure(&f, blocks, (int)r->block_count, &root, 1, OUTSIDE);
}

static void ignore_open(void *ctx, const int16_t *entries, int count)
{
}
static void ignore_dispatch(void *ctx, const int *depths, int count)
{
}
static void ignore_code(void *ctx, int block, int fall)
{
}
static void ignore(void *ctx)
{
}
static void mark_loop(void *ctx, const int16_t *headers, int count)
{
    struct region_code *r = ctx;
    for (int k = 0; k < count; k++)
        r->blocks[headers[k]].loop_check = true;
}

void flow_mark_loops(struct region_code *r)
{
    static const struct flow_ops ops = { ignore_open,     ignore, mark_loop,
                                         ignore_dispatch, ignore, ignore_code };
    flow_structure(r, &ops, r);
}
