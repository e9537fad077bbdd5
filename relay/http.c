/*
 * HTTP/1.1 answers. Headers are written here and not with libwebsockets' helpers (HTTP/2 isn't
 * offered), bodies are read from the file when the socket takes more: an answer costs one buffer
 * that all connections share, whatever the client's speed. A client that takes nothing for
 * STALLED_S is cut off.
 */
#include "relay/http.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "relay/files.h"
#include "relay/log.h"

enum {
    CHUNK = 64 << 10,
    STALLED_S = 30,
};

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 416: return "Range Not Satisfiable";
    case 426: return "Upgrade Required";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

/* The first of an answer: status line and the headers that each has. */
static int begin(const struct relay *relay, char *out, size_t room, int status)
{
    char date[40];
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return snprintf(out, room,
                    "HTTP/1.1 %d %s\r\nServer: slipway-relay\r\nDate: %s\r\n"
                    "X-Content-Type-Options: nosniff\r\n%s",
                    status, reason(status), date,
                    relay->config->isolation ? "Cross-Origin-Opener-Policy: same-origin\r\n"
                                               "Cross-Origin-Embedder-Policy: require-corp\r\n"
                                               "Cross-Origin-Resource-Policy: cross-origin\r\n"
                                             : "");
}

/* Writes headers (@len bytes at @text) and body; then libwebsockets goes on to the next request. */
static int finish(struct relay *relay, struct lws *wsi, const char *headers, int len,
                  const char *body, size_t body_len)
{
    size_t size = (size_t)len + body_len;
    unsigned char *buf = malloc(LWS_PRE + size);
    int n = -1;
    if (buf) {
        memcpy(buf + LWS_PRE, headers, (size_t)len);
        memcpy(buf + LWS_PRE + len, body, body_len);
        n = lws_write(wsi, buf + LWS_PRE, size, LWS_WRITE_HTTP);
        free(buf);
    }
    relay->metrics.http_bytes_total += size;
    return n < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static bool is_head(struct lws *wsi)
{
    return lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
}

static int text_answer(struct relay *relay, struct lws *wsi, int status, const char *type,
                       const char *more, const char *body, size_t len)
{
    char head[1024];
    int n = begin(relay, head, sizeof head, status);
    n += snprintf(head + n, sizeof head - (size_t)n,
                  "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%s\r\n",
                  type, len, more ? more : "");
    if ((size_t)n >= sizeof head)
        return -1;
    return finish(relay, wsi, head, n, body, is_head(wsi) ? 0 : len);
}

int http_status(struct relay *relay, struct lws *wsi, int status, const char *more)
{
    char body[64];
    int len = snprintf(body, sizeof body, "%d %s\n", status, reason(status));
    return text_answer(relay, wsi, status, "text/plain; charset=utf-8", more, body, (size_t)len);
}

static int metrics(struct relay *relay, struct lws *wsi)
{
    size_t len;
    char *page = metrics_page(&relay->metrics, &len);
    int n =
        text_answer(relay, wsi, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, page, len);
    free(page);
    return n;
}

/* ---- files ---- */

static bool header(struct lws *wsi, enum lws_token_indexes token, char *out, size_t room)
{
    return lws_hdr_total_length(wsi, token) > 0 && lws_hdr_copy(wsi, out, (int)room, token) > 0;
}

/* Status of a request for @f, and the part of it that is wanted. */
static int conditions(struct lws *wsi, const struct file *f, uint64_t *first, uint64_t *length)
{
    char value[256];
    *first = 0;
    *length = f->size;
    if (header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, value, sizeof value)) {
        if (etag_matches(value, f->etag, true))
            return 304;
    } else if (header(wsi, WSI_TOKEN_HTTP_IF_MODIFIED_SINCE, value, sizeof value) &&
               !strcmp(value, f->modified)) {
        return 304;
    }
    if (!header(wsi, WSI_TOKEN_HTTP_RANGE, value, sizeof value))
        return 200;
    int status = file_range(value, f->size, first, length);
    if (header(wsi, WSI_TOKEN_HTTP_IF_RANGE, value, sizeof value) &&
        !etag_matches(value, f->etag, false) && strcmp(value, f->modified) != 0) {
        *first = 0;
        *length = f->size;
        return 200;
    }
    return status;
}

static int send_file(struct relay *relay, struct lws *wsi, struct http_answer *a, struct file *f)
{
    unsigned char buf[LWS_PRE + 1024];
    char *head = (char *)buf + LWS_PRE;
    uint64_t first, length;
    int status = conditions(wsi, f, &first, &length);
    int n = begin(relay, head, 1024, status);
    size_t room = 1024;
    n += snprintf(head + n, room - (size_t)n,
                  "ETag: %s\r\nLast-Modified: %s\r\nCache-Control: no-cache\r\n"
                  "Accept-Ranges: bytes\r\n",
                  f->etag, f->modified);
    if (status == 206)
        n += snprintf(head + n, room - (size_t)n, "Content-Range: bytes %llu-%llu/%llu\r\n",
                      (unsigned long long)first, (unsigned long long)(first + length - 1),
                      (unsigned long long)f->size);
    if (status == 416)
        n += snprintf(head + n, room - (size_t)n,
                      "Content-Range: bytes */%llu\r\nContent-Length: 0\r\n",
                      (unsigned long long)f->size);
    if (status == 200 || status == 206)
        n += snprintf(head + n, room - (size_t)n, "Content-Type: %s\r\nContent-Length: %llu\r\n",
                      f->type, (unsigned long long)length);
    n += snprintf(head + n, room - (size_t)n, "\r\n");
    if (is_head(wsi) || status == 304 || status == 416 || !length) {
        file_close(f);
        return finish(relay, wsi, head, n, "", 0);
    }
    *a = (struct http_answer){ .sending = true, .fd = f->fd, .at = first, .left = length };
    relay->metrics.http_bytes_total += (size_t)n;
    if (lws_write(wsi, (unsigned char *)head, (size_t)n, LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, STALLED_S);
    lws_callback_on_writable(wsi);
    return 0;
}

int http_writable(struct relay *relay, struct lws *wsi, struct http_answer *a)
{
    static unsigned char buf[LWS_PRE + CHUNK];
    if (!a->sending)
        return 0;
    size_t want = a->left < CHUNK ? (size_t)a->left : CHUNK;
    ssize_t n = pread(a->fd, buf + LWS_PRE, want, (off_t)a->at);
    if (n <= 0)
        return -1; /* it got shorter: the client must not take it for the whole */
    if (lws_write(wsi, buf + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) < 0)
        return -1;
    relay->metrics.http_bytes_total += (size_t)n;
    a->at += (uint64_t)n;
    a->left -= (uint64_t)n;
    if (!a->left) {
        http_closed(a);
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    }
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, STALLED_S);
    lws_callback_on_writable(wsi);
    return 0;
}

void http_closed(struct http_answer *a)
{
    if (a->sending)
        close(a->fd);
    *a = (struct http_answer){ 0 };
}

/* A directory without its '/': there is where it is. The path is written as it came, so it is only
 * followed if nothing in it needs escaping. */
static int redirect(struct relay *relay, struct lws *wsi, const char *path)
{
    char more[512];
    size_t len =
        strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/");
    if (path[len] || len > 400 || path[1] == '/')
        return http_status(relay, wsi, 404, NULL);
    snprintf(more, sizeof more, "Location: %s/\r\n", path);
    return http_status(relay, wsi, 301, more);
}

int http_request(struct relay *relay, struct lws *wsi, struct http_answer *a, int root,
                 const char *path, size_t len)
{
    struct file f;
    relay->metrics.http_requests_total++;
    http_closed(a);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 && !is_head(wsi)) {
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, 5);
        http_status(relay, wsi, 405, "Allow: GET, HEAD\r\nConnection: close\r\n");
        return -1; /* its body isn't wanted */
    }
    log_event(LOG_DEBUG, "request", "path=%s", log_string(path));
    if (!strcmp(path, "/healthz"))
        return text_answer(relay, wsi, relay->stopping ? 503 : 200, "text/plain; charset=utf-8",
                           NULL, relay->stopping ? "stopping\n" : "ok\n", relay->stopping ? 9 : 3);
    if (!strcmp(path, "/metrics") && relay->config->metrics)
        return metrics(relay, wsi);
    /* %00 ends a string, not a path. */
    int status = root < 0 || strlen(path) != len ? 404 : file_open(&f, root, path);
    if (status) {
        if (root >= 0)
            file_close(&f);
        return http_status(relay, wsi, status, NULL);
    }
    if (f.listing)
        return redirect(relay, wsi, path);
    return send_file(relay, wsi, a, &f);
}
