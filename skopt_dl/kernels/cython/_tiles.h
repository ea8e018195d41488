/* Products of C-ordered matrices, a tile of vectors at a time; included twice by _products.h, which sets
   REAL, NAME(x) and the instructions of each precision. */

/* What becomes of C before it is stored: a bias is added, and what is negative then may be cut off; or
   C is the derivative by outputs of units with such a cut, of which it keeps the open ones, and adds
   its column sums to `sums`. */
typedef struct {
    const REAL *bias, *outputs;
    int cut;
    REAL *sums;
} NAME(ending);

/* C = keep C + share A B on `rows` rows and `vectors` vectors of columns, of the last of which only
   those in `last` exist; an ending belongs to these columns, and to rows from `below` numbers before.
   Element (i, k) of A is a[i of_row + k of_k], rows of B lie `apart`. Both counts are constants where
   it is called, so that the sums are registers. */
WIDE_INLINE void NAME(tile)(const int rows, const int vectors, long inner, const REAL *a, long of_row,
                            long of_k, const REAL *b, long apart, MASK last, REAL share, REAL keep,
                            REAL *c, long width, const NAME(ending) *ending, long below) {
    VECTOR sum[TILE_ROWS][TILE_VECTORS];
    const REAL *start[TILE_ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        start[i] = a + i * of_row;
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) sum[i][j] = SPREAD(0);
    }
    for (long k = 0; k < inner; k++) {
        VECTOR row[TILE_VECTORS];
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) row[j] = LOAD(j < vectors - 1 ? ALL : last, b + j * LANES);
        b += apart;
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            VECTOR t = SPREAD(start[i][k * of_k]);
#pragma GCC unroll 3
            for (int j = 0; j < vectors; j++) sum[i][j] = TIMES_PLUS(t, row[j], sum[i][j]);
        }
    }
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++) {
        const MASK some = j < vectors - 1 ? ALL : last;
        VECTOR bias = SPREAD(0), total = SPREAD(0);
        if (ending && ending->bias) bias = LOAD(some, ending->bias + j * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            REAL *to = c + i * width + j * LANES;
            VECTOR value = TIMES(SPREAD(share), sum[i][j]);
            if (keep != 0) value = TIMES_PLUS(SPREAD(keep), LOAD(some, to), value);
            if (ending && ending->bias) {
                value = PLUS(value, bias);
                /* NaN stays. */
                if (ending->cut) value = LARGER(SPREAD(0), value);
            } else if (ending) {
                const REAL *output = ending->outputs + below + i * width + j * LANES;
                MASK open = ABOVE(LOAD(some, output), SPREAD(0));
                value = ONLY(open, value);
                total = PLUS(total, value);
            }
            STORE(to, some, value);
        }
        if (ending && ending->sums) {
            REAL *to = ending->sums + j * LANES;
            STORE(to, some, PLUS(LOAD(some, to), total));
        }
    }
}

/* The same for any number of rows; A is read along its rows (of_k is 1) or down its columns. */
#define COLUMNS(name, vectors, OF_ROW, OF_K)                                                         \
    WIDE void NAME(name)(long rows, long inner, const REAL *a, long width_a, const REAL *b,          \
                         long apart, MASK last, REAL share, REAL keep, REAL *c, long width,          \
                         const NAME(ending) *ending) {                                               \
        const long of_row = (OF_ROW), of_k = (OF_K);                                                 \
        long i = 0;                                                                                  \
        for (; i + 8 <= rows; i += 8)                                                                \
            NAME(tile)(8, vectors, inner, a + i * of_row, of_row, of_k, b, apart, last, share, keep, \
                       c + i * width, width, ending, i * width);                                     \
        for (; i + 4 <= rows; i += 4)                                                                \
            NAME(tile)(4, vectors, inner, a + i * of_row, of_row, of_k, b, apart, last, share, keep, \
                       c + i * width, width, ending, i * width);                                     \
        for (; i < rows; i++)                                                                        \
            NAME(tile)(1, vectors, inner, a + i * of_row, of_row, of_k, b, apart, last, share, keep, \
                       c + i * width, width, ending, i * width);                                     \
    }
COLUMNS(along_1, 1, width_a, 1)
COLUMNS(along_2, 2, width_a, 1)
COLUMNS(along_3, 3, width_a, 1)
COLUMNS(down_1, 1, 1, width_a)
COLUMNS(down_2, 2, 1, width_a)
COLUMNS(down_3, 3, 1, width_a)
#undef COLUMNS

/* Columns of B, row after row. */
WIDE void NAME(pack_rows)(long inner, const REAL *b, long width_b, int vectors, MASK last,
                          REAL *packed) {
    for (long k = 0; k < inner; k++, b += width_b)
        for (int j = 0; j < vectors; j++, packed += LANES)
            STORE(packed, ALL, LOAD(j < vectors - 1 ? ALL : last, b + j * LANES));
}

/* The same of B', whose columns are `columns` rows of B; few numbers of each at a time, so that the lines
   they are spread over stay in the nearest cache. The rows behind, which a next panel is made of, are
   asked for meanwhile: they lie too far apart for the processor to see them coming. */
WIDE void NAME(pack_turned)(long inner, const REAL *b, long width_b, int vectors, long columns,
                            REAL *packed) {
    const long width = vectors * LANES;
    for (long low = 0; low < inner; low += LANES) {
        const long high = low + LANES < inner ? low + LANES : inner;
        for (long j = 0; j < width; j++) {
            __builtin_prefetch(b + (j + width) * width_b + low, 0, 2);
            for (long k = low; k < high; k++)
                packed[k * width + j] = j < columns ? b[j * width_b + k] : 0;
        }
    }
}

/* C = keep C + share A B, A and B as they are or turned. Without keep C is not read. */
WIDE void NAME(ended_product)(int turn_a, int turn_b, long rows, long columns, long inner, REAL share,
                              const REAL *a, const REAL *b, REAL keep, REAL *c,
                              const NAME(ending) *ending) {
    static void (*const of[2][TILE_VECTORS])(long, long, const REAL *, long, const REAL *, long, MASK,
                                             REAL, REAL, REAL *, long, const NAME(ending) *) = {
        {NAME(along_1), NAME(along_2), NAME(along_3)}, {NAME(down_1), NAME(down_2), NAME(down_3)}};
    REAL packed[DEPTH * TILE_VECTORS * LANES] __attribute__((aligned(64)));
    const long width_a = turn_a ? rows : inner, width_b = turn_b ? inner : columns;
    /* Long rows would meet in a few sets of the nearest cache. */
    const int packs = turn_b || columns * (long)sizeof(REAL) >= LONG_ROW;
    long low = 0;
    do {
        const long depth = inner - low < DEPTH ? inner - low : DEPTH;
        const REAL *left = a + (turn_a ? low * width_a : low);
        for (long j = 0, count; j < columns; j += count) {
            const long rest = (columns - j + LANES - 1) / LANES;
            /* Two and two are faster than three and one. */
            const int vectors = rest == 4 ? 2 : rest < TILE_VECTORS ? (int)rest : TILE_VECTORS;
            count = vectors * LANES < columns - j ? vectors * LANES : columns - j;
            const MASK last = (MASK)(ALL >> (vectors * LANES - count));
            const REAL *right = turn_b ? b + j * width_b + low : b + low * width_b + j;
            NAME(ending) here;
            if (ending) {
                here.bias = ending->bias ? ending->bias + j : NULL;
                here.outputs = ending->outputs ? ending->outputs + j : NULL;
                here.sums = ending->sums ? ending->sums + j : NULL;
                here.cut = ending->cut;
            }
            if (turn_b)
                NAME(pack_turned)(depth, right, width_b, vectors, count, packed);
            else if (packs)
                NAME(pack_rows)(depth, right, width_b, vectors, last, packed);
            of[turn_a][vectors - 1](rows, depth, left, width_a, packs ? packed : right,
                                    packs ? vectors * LANES : width_b, last, share, low ? 1 : keep,
                                    c + j, columns, ending && low + depth == inner ? &here : NULL);
        }
        low += depth;
    } while (low < inner);
}

WIDE void NAME(product)(int turn_a, int turn_b, long rows, long columns, long inner, REAL share,
                        const REAL *a, const REAL *b, REAL keep, REAL *c) {
    NAME(ended_product)(turn_a, turn_b, rows, columns, inner, share, a, b, keep, c, NULL);
}

/* C = A B + bias, its negative numbers cut off or not. */
WIDE void NAME(forward)(long rows, long columns, long inner, const REAL *a, const REAL *b,
                        const REAL *bias, int cut, REAL *c) {
    const NAME(ending) ending = {bias, NULL, cut, NULL};
    NAME(ended_product)(0, 0, rows, columns, inner, 1, a, b, 0, c, &ending);
}

/* C = A B' where `outputs` are positive, else 0; its column sums are added to `sums`. */
WIDE void NAME(backward)(long rows, long columns, long inner, const REAL *a, const REAL *b,
                         const REAL *outputs, REAL *sums, REAL *c) {
    const NAME(ending) ending = {NULL, outputs, 0, sums};
    NAME(ended_product)(0, 1, rows, columns, inner, 1, a, b, 0, c, &ending);
}

/* C = X'X of n rows and p columns, of which only what stands on or above the diagonal is computed, and
   written below it, too. Rows of X lie `apart`; `by_columns` says that columns do. */
WIDE void NAME(inner_products)(int by_columns, long n, long p, const REAL *x, long apart, REAL *c) {
    static void (*const of[2][TILE_VECTORS])(long, long, const REAL *, long, const REAL *, long, MASK,
                                             REAL, REAL, REAL *, long, const NAME(ending) *) = {
        {NAME(down_1), NAME(down_2), NAME(down_3)}, {NAME(along_1), NAME(along_2), NAME(along_3)}};
    REAL packed[DEPTH * TILE_VECTORS * LANES] __attribute__((aligned(64)));
    for (long low = 0, depth; low < n; low += depth) {
        depth = n - low < DEPTH ? n - low : DEPTH;
        const REAL *left = x + (by_columns ? low : low * apart);
        for (long j = 0, count; j < p; j += count) {
            const long rest = (p - j + LANES - 1) / LANES;
            const int vectors = rest == 4 ? 2 : rest < TILE_VECTORS ? (int)rest : TILE_VECTORS;
            count = vectors * LANES < p - j ? vectors * LANES : p - j;
            const MASK last = (MASK)(ALL >> (vectors * LANES - count));
            if (by_columns)
                NAME(pack_turned)(depth, left + j * apart, apart, vectors, count, packed);
            else
                NAME(pack_rows)(depth, left + j, apart, vectors, last, packed);
            /* Rows above this panel's columns, then those beside them: of these no more than the vectors
               that reach the diagonal. */
            of[by_columns][vectors - 1](j, depth, left, apart, packed, vectors * LANES, last, 1,
                                        low ? 1 : 0, c + j, p, NULL);
            for (int v = 0; v < vectors; v++) {
                const long i = j + v * LANES, rest = j + count - i;
                of[by_columns][vectors - 1 - v](
                    rest < LANES ? rest : LANES, depth, left + i * (by_columns ? apart : 1), apart,
                    packed + v * LANES, vectors * LANES, last, 1, low ? 1 : 0, c + i * p + i, p, NULL);
            }
        }
    }
    for (long i = 0; i < p; i += LANES)
        for (long j = 0; j <= i; j += LANES)
            for (long k = i; k < i + LANES && k < p; k++)
                for (long l = j; l < j + LANES && l < k; l++) c[k * p + l] = c[l * p + k];
}
