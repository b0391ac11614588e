/* SPDX-License-Identifier: Apache-2.0 */
/* geohash.h — places as 52-bit numbers, so that a sorted set can keep them: latitude and longitude,
 * 26 bits each, interleaved. Degrees; longitude -180..180, latitude within the Mercator square. */
#pragma once
#include "kernel/base/base.h"

#define GEO_LATITUDE_MAX 85.05112878
struct geo_point {
    double longitude, latitude;
};
struct geo_shape { /* what is searched around a centre; metres */
    struct geo_point centre;
    bool box;
    double radius, width, height;
};
u64 geo_encode(struct geo_point p);
struct geo_point geo_decode(u64 hash); /* the middle of its cell */
void geo_text(struct geo_point p, char to[12]); /* the usual base 32, eleven characters */
double geo_distance(struct geo_point a, struct geo_point b); /* metres, on a sphere */
/* Is it inside? Then *metres from the centre. */
bool geo_inside(const struct geo_shape *s, struct geo_point p, double *metres);
/* Ranges of hashes [first, last] that cover the shape; at most `room` (>= 8). */
struct geo_range {
    u64 first, last;
};
u32 geo_cover(const struct geo_shape *s, struct geo_range *to, u32 room);
