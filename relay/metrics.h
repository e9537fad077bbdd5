/*
 * Counters and gauges, as /metrics shows them (Prometheus' text format 0.0.4).
 */
#ifndef SLIPWAY_RELAY_METRICS_H
#define SLIPWAY_RELAY_METRICS_H

#include <stddef.h>
#include <stdint.h>

/* X(name, type, help) */
#define METRICS(X)                                                                                 \
    X(http_requests_total, "counter", "HTTP requests")                                             \
    X(http_bytes_total, "counter", "bytes of HTTP answers")                                        \
    X(clients, "gauge", "WebSocket connections that are up")                                       \
    X(clients_total, "counter", "WebSocket connections since the start")                           \
    X(clients_refused_total, "counter", "connections refused: limits, origins")                    \
    X(received_bytes_total, "counter", "bytes of WebSocket messages received")                     \
    X(sent_bytes_total, "counter", "bytes of WebSocket messages sent")                             \
    X(spliced_bytes_total, "counter", "bytes of them that went through pipes, without a copy")     \
    X(pipes, "gauge", "pipes that are open")                                                       \
    X(sessions, "gauge", "sessions, those that wait for their client included")                    \
    X(sessions_resumed_total, "counter", "sessions that were taken up again")                      \
    X(sessions_failed_total, "counter", "connections ended with FAIL")                             \
    X(tokens_refused_total, "counter", "bad and expired tokens")                                   \
    X(channels, "gauge", "open channels")                                                          \
    X(channels_total, "counter", "channels since the start")                                       \
    X(channels_refused_total, "counter", "channels that limits or permissions refused")            \
    X(egress_denied_total, "counter", "addresses that the egress filter refused")                  \
    X(tcp_connections_total, "counter", "TCP connections made")                                    \
    X(tcp_accepted_total, "counter", "TCP connections accepted")                                   \
    X(queries_total, "counter", "DNS questions")                                                   \
    X(rooms, "gauge", "rooms")                                                                     \
    X(room_members, "gauge", "members of rooms")                                                   \
    X(frames_total, "counter", "Ethernet frames into rooms")                                       \
    X(frames_dropped_total, "counter", "copies of frames dropped at a full queue")                 \
    X(memory_bytes, "gauge", "bytes that clients' queues hold")

struct metrics {
#define FIELD(name, type, help) uint64_t name;
    METRICS(FIELD)
#undef FIELD
};

/* The page of /metrics, malloc'd; its length in *@len. */
char *metrics_page(const struct metrics *m, size_t *len);

#endif
