/* Vectors, and what is done with them: products, ReLU, e^x, rows into columns.

   GCC and Clang turn these into the instructions that the processor has. */

#include <math.h>

#ifndef REAL
#define REAL float
#endif

/* Tiles of ROWS by COLUMNS vectors fill the registers: 32, or with AVX2 16 of them. */
#if defined(__AVX512F__)
#define BYTES 64
#define ROWS 8
#elif defined(__AVX__)
#define BYTES 32
#define ROWS 6
#else
#define BYTES 16
#define ROWS 8
#endif
#define COLUMNS 2
#define LANES (BYTES / (long)sizeof(REAL))
/* Rows are padded to whole cache lines, whatever the vectors. */
#define LINE (64 / (long)sizeof(REAL))
#define EACH_VECTOR                                                                    \
    for (long r = 0; r < rows; r++)                                                    \
        for (long c = 0; c < columns; c++)
#define INLINE static inline __attribute__((always_inline))

typedef REAL vec __attribute__((vector_size(BYTES)));
typedef __typeof__((vec){0} < (vec){0}) bits;
typedef vec tile[ROWS][COLUMNS];

typedef struct {
    REAL *out;
    const REAL *active;
    long stride;
} store;

typedef void (*finish)(const void *, long, long, long, long, tile);

static long padded(long units) { return (units + LINE - 1) / LINE * LINE; }

INLINE vec *at(REAL *base, long offset) { return (vec *)(base + offset); }

/* A value where the condition holds, zero elsewhere. */
INLINE vec where(bits condition, vec value) { return (vec)(condition & (bits)value); }

/* tile = rows of a (any strides) times rows of b (whole vectors). */
INLINE void multiply_tile(long rows, long columns, const REAL *a, long a_row, long a_k,
                          const REAL *b, long b_k, long depth, tile sum)
{
    EACH_VECTOR
        sum[r][c] = (vec){0};
    for (long k = 0; k < depth; k++, a += a_k, b += b_k) {
        vec right[COLUMNS];
        for (long c = 0; c < columns; c++)
            right[c] = ((const vec *)b)[c];
        EACH_VECTOR
            sum[r][c] += a[r * a_row] * right[c];
    }
}

/* A strip of rows, two vectors at a time, the last one alone. */
INLINE void multiply_strip(long rows, long row, long width, const REAL *a, long a_row,
                           long a_k, const REAL *b, long b_k, long depth, finish done,
                           const void *context)
{
    long column = 0;
    tile sum;
    for (; column + COLUMNS * LANES <= width; column += COLUMNS * LANES) {
        multiply_tile(rows, COLUMNS, a, a_row, a_k, b + column, b_k, depth, sum);
        done(context, row, column, rows, COLUMNS, sum);
    }
    if (column < width) {
        multiply_tile(rows, 1, a, a_row, a_k, b + column, b_k, depth, sum);
        done(context, row, column, rows, 1, sum);
    }
}

INLINE void multiply(long height, long width, const REAL *a, long a_row, long a_k,
                     const REAL *b, long b_k, long depth, finish done,
                     const void *context)
{
    long row = 0;
    for (; row + ROWS <= height; row += ROWS)
        multiply_strip(ROWS, row, width, a + row * a_row, a_row, a_k, b, b_k, depth,
                       done, context);
    for (; row + 4 <= height; row += 4)
        multiply_strip(4, row, width, a + row * a_row, a_row, a_k, b, b_k, depth,
                       done, context);
    for (; row < height; row++)
        multiply_strip(1, row, width, a + row * a_row, a_row, a_k, b, b_k, depth,
                       done, context);
}

INLINE void store_plain(const void *context, long row, long column, long rows,
                        long columns, tile sum)
{
    const store *to = context;
    EACH_VECTOR
        *at(to->out, (row + r) * to->stride + column + c * LANES) = sum[r][c];
}

/* ReLU; written so that NaN stays NaN. */
INLINE void store_active(const void *context, long row, long column, long rows,
                         long columns, tile sum)
{
    EACH_VECTOR
        sum[r][c] = where(~(sum[r][c] < (vec){0}), sum[r][c]);
    store_plain(context, row, column, rows, columns, sum);
}

/* The gradient below a ReLU: nothing where the unit was off. */
INLINE void store_masked(const void *context, long row, long column, long rows,
                         long columns, tile sum)
{
    const store *to = context;
    EACH_VECTOR {
        long offset = (row + r) * to->stride + column + c * LANES;
        bits off = *at((REAL *)to->active, offset) <= (vec){0};
        sum[r][c] = where(~off, sum[r][c]);
    }
    store_plain(context, row, column, rows, columns, sum);
}

#if REAL_IS_DOUBLE
#define TERMS 14
#define SHIFT 52
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer */
#define LOWEST -708
#define COUNT (BYTES / 8)
#else
#define TERMS 8
#define SHIFT 23
#define MAGIC 12582912.0f /* 1.5 * 2^23 */
#define LOWEST -87
#define COUNT (BYTES / 4)
#endif

/* Two vectors riffled like cards: the lower halves, and the upper ones. */
#if COUNT == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif COUNT == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif COUNT == 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#else
#define LOW 0, 2
#define HIGH 1, 3
#endif

/* e^x for x <= 0: 2^n times the Taylor series of the rest, which is below ln 2 / 2. */
INLINE vec exponential(vec x)
{
    const REAL ln2_high = 0.693359375f, ln2_low = -2.1219444005469057e-4;
    bits low = x < (vec){0} + (REAL)LOWEST;
    x = where(low, (vec){0} + (REAL)LOWEST) + where(~low, x);
    vec n = (x * (REAL)1.4426950408889634 + (REAL)MAGIC) - (REAL)MAGIC;
    vec rest = x - n * ln2_high - n * ln2_low, series = (vec){0} + 1;
    for (long term = TERMS; term > 0; term--)
        series = 1 + series * rest * ((REAL)1 / term);
    vec power = n + (REAL)((sizeof(REAL) == 4 ? 127 : 1023));
    return series * (vec)(__builtin_convertvector(power, bits) << SHIFT);
}

/* Blocks of LANES rows: riffling them log2(LANES) times turns rows into columns. */
static void transpose(const REAL *from, long rows, long from_stride, REAL *to,
                      long columns, long to_stride)
{
    for (long row = 0; row < rows; row += LANES)
        for (long column = 0; column < columns; column += LANES) {
            vec now[COUNT], next[COUNT];
            for (long i = 0; i < LANES; i++)
                now[i] = row + i < rows
                             ? *(const vec *)(from + (row + i) * from_stride + column)
                             : (vec){0};
            for (long times = 1; times < LANES; times *= 2) {
                for (long i = 0; i < LANES / 2; i++) {
                    vec one = now[i], other = now[i + LANES / 2];
                    next[2 * i] = __builtin_shufflevector(one, other, LOW);
                    next[2 * i + 1] = __builtin_shufflevector(one, other, HIGH);
                }
                for (long i = 0; i < LANES; i++)
                    now[i] = next[i];
            }
            for (long i = 0; i < LANES; i++)
                *at(to, (column + i) * to_stride + row) = now[i];
        }
}
