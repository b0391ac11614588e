/* SPDX-License-Identifier: Apache-2.0 */
/* geohash.c — geohashes: encode, decode, measure, and cover an area with ranges of them.
 *
 * An area is covered by taking the world's square apart into quarters, keeping those that touch the
 * area's bounding box, until they are a fraction of its size: each quarter is one range of hashes,
 * and neighbours in the order of hashes are joined. What lies in the cells but not in the area is
 * left to geo_inside. Boxes across the date line are two boxes; at the poles all longitudes count.
 *
 * The figures (earth's radius, the square, bits) are those of Redis, so that scores agree. */
#include "app/cache/data/geohash.h"
#include <math.h>

#define EARTH_METRES 6372797.560856
#define RADIANS(d) ((d) * (3.14159265358979323846 / 180.0))
#define DEGREES(r) ((r) * (180.0 / 3.14159265358979323846))
#define BITS 26u

static u64 spread(u32 v) {
    u64 x = v;
    x = (x | x << 16) & 0x0000FFFF0000FFFFu;
    x = (x | x << 8) & 0x00FF00FF00FF00FFu;
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0Fu;
    x = (x | x << 2) & 0x3333333333333333u;
    return (x | x << 1) & 0x5555555555555555u;
}

static u32 squeeze(u64 x) {
    x &= 0x5555555555555555u;
    x = (x | x >> 1) & 0x3333333333333333u;
    x = (x | x >> 2) & 0x0F0F0F0F0F0F0F0Fu;
    x = (x | x >> 4) & 0x00FF00FF00FF00FFu;
    x = (x | x >> 8) & 0x0000FFFF0000FFFFu;
    return (u32)(x | x >> 16);
}

static u32 cell_of(double v, double low, double high) {
    double n = (v - low) / (high - low) * (double)(1u << BITS);
    return n < 0 ? 0 : n >= (double)(1u << BITS) ? (1u << BITS) - 1 : (u32)n;
}

static u64 encode(struct geo_point p, double latitude_max) {
    return spread(cell_of(p.latitude, -latitude_max, latitude_max)) |
           spread(cell_of(p.longitude, -180, 180)) << 1;
}

u64 geo_encode(struct geo_point p) { return encode(p, GEO_LATITUDE_MAX); }

static double middle(u32 cell, double low, double high) {
    double scale = high - low, least = low + cell * 1.0 / (1u << BITS) * scale;
    double most = low + (cell + 1) * 1.0 / (1u << BITS) * scale;
    return MIN(MAX((least + most) / 2, low), high);
}

struct geo_point geo_decode(u64 hash) {
    return (struct geo_point){middle(squeeze(hash >> 1), -180, 180),
                              middle(squeeze(hash), -GEO_LATITUDE_MAX, GEO_LATITUDE_MAX)};
}

void geo_text(struct geo_point p, char to[12]) {
    static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    u64 hash = encode(p, 90);
    for (u32 i = 0; i < 11; i++) to[i] = i == 10 ? '0' : letters[hash >> (52 - (i + 1) * 5) & 31];
    to[11] = 0;
}

double geo_distance(struct geo_point a, struct geo_point b) {
    double u = sin((RADIANS(b.latitude) - RADIANS(a.latitude)) / 2);
    double v = sin((RADIANS(b.longitude) - RADIANS(a.longitude)) / 2);
    double h = u * u + cos(RADIANS(a.latitude)) * cos(RADIANS(b.latitude)) * v * v;
    return 2.0 * EARTH_METRES * asin(sqrt(h));
}

bool geo_inside(const struct geo_shape *s, struct geo_point p, double *metres) {
    *metres = geo_distance(s->centre, p);
    if (!s->box) return *metres <= s->radius;
    if (EARTH_METRES * fabs(RADIANS(p.latitude) - RADIANS(s->centre.latitude)) > s->height / 2)
        return false;
    struct geo_point beside = {s->centre.longitude, p.latitude};
    return geo_distance(p, beside) <= s->width / 2;
}

/* ---- Covering -------------------------------------------------------------------------------- */

struct box {
    double west, east, south, north;
};
struct cover {
    struct box box;
    struct geo_range *to;
    u32 count, room, steps;
    u32 joined; /* ranges before this one are another box's */
};

static struct box bounds(const struct geo_shape *s) {
    double up = DEGREES((s->box ? s->height / 2 : s->radius) / EARTH_METRES);
    double aside = (s->box ? s->width / 2 : s->radius) / EARTH_METRES;
    struct box b = {-180, 180, s->centre.latitude - up, s->centre.latitude + up};
    double furthest = MAX(fabs(b.south), fabs(b.north));
    if (furthest < 89.9 && aside < 3) { /* the angle is widest where the circles are smallest */
        double half = sin(aside / 2) / cos(RADIANS(furthest));
        double delta = half < 1 ? DEGREES(2 * asin(half)) : 180;
        b.west = s->centre.longitude - delta;
        b.east = s->centre.longitude + delta;
    }
    if (b.east - b.west >= 360) b.west = -180, b.east = 180;
    return b;
}

static void range_add(struct cover *c, u64 hash, u32 step) {
    u32 shift = 2 * (BITS - step);
    u64 first = hash << shift, last = first + ((u64)1 << shift) - 1;
    if (c->count > c->joined && c->to[c->count - 1].last + 1 == first) {
        c->to[c->count - 1].last = last;
        return;
    }
    if (c->count == c->room) { /* too many pieces: the last one takes in what lies between */
        c->to[c->count - 1].last = last;
        return;
    }
    c->to[c->count++] = (struct geo_range){first, last};
}

/* The cell of `step` bits each way; its quarters come in the order of their hashes. */
static void quarter(struct cover *c, u64 hash, u32 step) {
    double cells = (double)((u64)1 << step);
    u32 x = squeeze(hash >> 1), y = squeeze(hash);
    double west = -180 + 360 * (x / cells), east = -180 + 360 * ((x + 1) / cells);
    double south = -GEO_LATITUDE_MAX + 2 * GEO_LATITUDE_MAX * (y / cells);
    double north = -GEO_LATITUDE_MAX + 2 * GEO_LATITUDE_MAX * ((y + 1) / cells);
    const struct box *b = &c->box;
    if (west > b->east || east < b->west || south > b->north || north < b->south) return;
    bool inside = west >= b->west && east <= b->east && south >= b->south && north <= b->north;
    if (inside || step >= c->steps) {
        range_add(c, hash, step);
        return;
    }
    for (u64 i = 0; i < 4; i++) quarter(c, hash << 2 | i, step + 1);
}

static u32 steps_for(const struct box *b) {
    double least = MAX(MIN((b->east - b->west) / 360, (b->north - b->south) / 170), 1e-7);
    u32 steps = 1;
    while (steps < BITS && 1.0 / (double)((u64)1 << steps) > least / 2) steps++;
    return steps;
}

u32 geo_cover(const struct geo_shape *s, struct geo_range *to, u32 room) {
    struct box b = bounds(s);
    struct cover c = {.box = b, .to = to, .room = room, .steps = steps_for(&b)};
    c.room = b.west < -180 || b.east > 180 ? room / 2 : room;
    if (b.west < -180) { /* across the date line */
        c.box.west = b.west + 360;
        c.box.east = 180;
        quarter(&c, 0, 0);
        c.box.west = -180;
        c.box.east = b.east;
    } else if (b.east > 180) {
        c.box.west = -180;
        c.box.east = b.east - 360;
        quarter(&c, 0, 0);
        c.box.west = b.west;
        c.box.east = 180;
    }
    c.room = room;
    c.joined = c.count;
    quarter(&c, 0, 0);
    return c.count;
}
