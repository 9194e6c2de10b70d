/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

#define DELAY_MS       1000
#define INTERVAL_MS    100
#define LINE_BYTES_MAX 512

void cb_cli_progress_begin(cb_cli_progress *progress,
                           const cb_cli_session *session, const char *phase,
                           const char *unit, uint64_t total)
{
    int64_t now_ms = session->world->monotonic_ms();
    *progress = (cb_cli_progress){
        .session = session,
        .phase = phase,
        .unit = unit,
        .total = total,
        .begin_ms = now_ms,
        .drawn_ms = now_ms,
        .is_shown = session->world->err_is_terminal && !session->quiet &&
                    !session->json,
    };
}

static void append_bytes(cb_buffer *line, double bytes, const char *after)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
    size_t unit = 0;
    while (bytes >= 1024 && unit < 3) {
        bytes /= 1024;
        unit++;
    }
    cb_buffer_append_format(line, unit == 0 ? "  %.0f %s%s" : "  %.1f %s%s",
                            bytes, units[unit], after);
}

static void draw(cb_cli_progress *progress, uint64_t done, uint64_t bytes,
                 int64_t elapsed_ms)
{
    const cb_cli_world *world = progress->session->world;
    cb_buffer line;
    cb_buffer_init(&line, LINE_BYTES_MAX);
    cb_buffer_append_format(&line, "%s  %" PRIu64, progress->phase, done);
    if (progress->total > 0) {
        cb_buffer_append_format(&line, "/%" PRIu64, progress->total);
    }
    cb_buffer_append_format(&line, " %s", progress->unit);
    if (bytes > 0) {
        append_bytes(&line, (double)bytes, "");
        append_bytes(&line, (double)bytes * 1000 / (double)elapsed_ms, "/s");
    }
    /* One column is left free: a full line would wrap and scroll. */
    size_t columns = world->columns > 1 ? (size_t)world->columns - 1 : 1;
    size_t size = cb_cli_text_fit(cb_span_of_buffer(&line), columns);
    (void)fprintf(world->err, "\r%.*s\033[K", (int)size, cb_buffer_text(&line));
    (void)fflush(world->err);
    cb_buffer_clear(&line);
    progress->is_drawn = true;
}

void cb_cli_progress_update(cb_cli_progress *progress, uint64_t done,
                            uint64_t bytes)
{
    if (!progress->is_shown) {
        return;
    }
    int64_t now_ms = progress->session->world->monotonic_ms();
    int64_t elapsed_ms = now_ms - progress->begin_ms;
    if (elapsed_ms < DELAY_MS || now_ms - progress->drawn_ms < INTERVAL_MS) {
        return;
    }
    progress->drawn_ms = now_ms;
    draw(progress, done, bytes, elapsed_ms);
}

void cb_cli_progress_end(cb_cli_progress *progress)
{
    if (progress->is_drawn) {
        (void)fprintf(progress->session->world->err, "\r\033[K");
        (void)fflush(progress->session->world->err);
        progress->is_drawn = false;
    }
}
