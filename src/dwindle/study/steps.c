/* An epoch of one dense ReLU network: forward, backward and update, in one go.

   Compiled on the machine that runs it, for its own vector width. Everything lies
   features first: activations and their gradients are (units, batch), the batch padded
   to whole vectors; a layer's weights are (fan_in + 1, fan_out), the last row its
   biases (their input is always 1), the columns padded to whole vectors with zeros that
   stay zero. All three products of a layer are then of one kind: rows of scalars times
   rows of vectors. The last of them, the gradient by the weights, hands each tile to
   the optimizer while it is still in registers: no gradient is ever stored.

   No fast-math: a network that overflows must become NaN and stay it. */

#include <math.h>

#ifndef REAL
#define REAL float
#endif

#define LANES (64 / (long)sizeof(REAL))
#ifndef ROWS
#define ROWS 8
#endif
#define COLUMNS 2
#define INLINE static inline __attribute__((always_inline))

typedef REAL vec __attribute__((vector_size(64)));
typedef __typeof__((vec){0} < (vec){0}) bits;
typedef vec tile[ROWS][COLUMNS];

typedef struct {
    long adam, nesterov, decoupled;
    double momentum, dampening, beta1, beta2, epsilon;
} optimizer;

typedef struct {
    long layers, batch, stride; /* samples of a full batch; padded to vectors */
    const long *units;          /* inputs, hidden ..., classes */
    const double *decays;       /* of each layer, after normalization */
    optimizer options;
} network;

typedef struct {
    REAL *weights, *first, *second;
    long stride, biases; /* row length, number of the row of biases */
    REAL scale, decay, lr, beta, alpha, momentum, beta1, beta2, root, epsilon;
} update;

typedef struct {
    REAL *out;
    const REAL *active;
    long stride;
} store;

typedef void (*finish)(const void *, long, long, long, long, tile);

static long padded(long units) { return (units + LANES - 1) / LANES * LANES; }

INLINE vec *at(REAL *base, long offset) { return (vec *)(base + offset); }

/* A value where the condition holds, zero elsewhere. */
INLINE vec where(bits condition, vec value) { return (vec)(condition & (bits)value); }

/* tile = rows of a (any strides) times rows of b (whole vectors). */
INLINE void multiply_tile(long rows, long columns, const REAL *a, long a_row, long a_k,
                          const REAL *b, long b_k, long depth, tile sum)
{
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++)
            sum[r][c] = (vec){0};
    for (long k = 0; k < depth; k++, a += a_k, b += b_k) {
        vec right[COLUMNS];
        for (long c = 0; c < columns; c++)
            right[c] = ((const vec *)b)[c];
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < columns; c++)
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
        multiply_strip(4, row, width, a + row * a_row, a_row, a_k, b, b_k, depth, done,
                       context);
    for (; row < height; row++)
        multiply_strip(1, row, width, a + row * a_row, a_row, a_k, b, b_k, depth, done,
                       context);
}

INLINE void store_plain(const void *context, long row, long column, long rows,
                        long columns, tile sum)
{
    const store *to = context;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++)
            *at(to->out, (row + r) * to->stride + column + c * LANES) = sum[r][c];
}

/* ReLU; written so that NaN stays NaN. */
INLINE void store_active(const void *context, long row, long column, long rows,
                         long columns, tile sum)
{
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++)
            sum[r][c] = where(~(sum[r][c] < (vec){0}), sum[r][c]);
    store_plain(context, row, column, rows, columns, sum);
}

/* The gradient below a ReLU: nothing where the unit was off. */
INLINE void store_masked(const void *context, long row, long column, long rows,
                         long columns, tile sum)
{
    const store *to = context;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) {
            long offset = (row + r) * to->stride + column + c * LANES;
            bits off = *at((REAL *)to->active, offset) <= (vec){0};
            sum[r][c] = where(~off, sum[r][c]);
        }
    store_plain(context, row, column, rows, columns, sum);
}

INLINE REAL decay_of(const update *by, long row)
{
    return row == by->biases ? 0 : by->decay;
}

INLINE void move_sgd(const void *context, long row, long column, long rows,
                     long columns, tile sum)
{
    const update *by = context;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) {
            long offset = (row + r) * by->stride + column + c * LANES;
            vec *weight = at(by->weights, offset), *moment = at(by->first, offset);
            vec whole = by->scale * sum[r][c] + decay_of(by, row + r) * *weight;
            *moment = by->beta * *moment + by->alpha * whole;
            *weight -= by->lr * *moment;
        }
}

INLINE void move_nesterov(const void *context, long row, long column, long rows,
                          long columns, tile sum)
{
    const update *by = context;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) {
            long offset = (row + r) * by->stride + column + c * LANES;
            vec *weight = at(by->weights, offset), *moment = at(by->first, offset);
            vec whole = by->scale * sum[r][c] + decay_of(by, row + r) * *weight;
            *moment = by->momentum * *moment + whole;
            *weight -= by->lr * (whole + by->momentum * *moment);
        }
}

INLINE vec square_root(vec x)
{
    vec root;
    for (long i = 0; i < LANES; i++)
        root[i] = sizeof(REAL) == 4 ? sqrtf(x[i]) : sqrt(x[i]);
    return root;
}

/* ``alpha`` is the coupled share of the decay, ``beta`` the decoupled one times lr. */
INLINE void move_adam(const void *context, long row, long column, long rows,
                      long columns, tile sum)
{
    const update *by = context;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) {
            long offset = (row + r) * by->stride + column + c * LANES;
            vec *weight = at(by->weights, offset), *mean = at(by->first, offset);
            vec *square = at(by->second, offset);
            REAL decay = decay_of(by, row + r);
            vec whole = by->scale * sum[r][c] + by->alpha * decay * *weight;
            *weight -= by->beta * decay * *weight;
            *mean += (1 - by->beta1) * (whole - *mean);
            *square = by->beta2 * *square + (1 - by->beta2) * whole * whole;
            *weight -= by->lr * *mean / (square_root(*square) * by->root + by->epsilon);
        }
}

#if REAL_IS_DOUBLE
#define TERMS 14
#define SHIFT 52
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer */
#define LOWEST -708
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define TERMS 8
#define SHIFT 23
#define MAGIC 12582912.0f /* 1.5 * 2^23 */
#define LOWEST -87
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
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
            vec now[64 / sizeof(REAL)], next[64 / sizeof(REAL)];
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

/* Logits become gradients p - 1 (right class) or p; returns the sum of -log p. */
static double cross_entropy(REAL *logits, long classes, long stride, const int *labels,
                            long size)
{
    double loss = 0;
    for (long column = 0; column < stride; column += LANES) {
        vec most = *at(logits, column), sum = {0};
        for (long k = 1; k < classes; k++) {
            vec value = *at(logits, k * stride + column);
            bits more = value > most;
            most = where(more, value) + where(~more, most);
        }
        for (long i = 0; i < LANES && column + i < size; i++)
            loss += most[i] - logits[labels[column + i] * stride + column + i];
        for (long k = 0; k < classes; k++) {
            vec *value = at(logits, k * stride + column);
            *value = exponential(*value - most);
            sum += *value;
        }
        for (long k = 0; k < classes; k++)
            *at(logits, k * stride + column) /= sum;
        for (long i = 0; i < LANES; i++) {
            if (column + i < size) {
                loss += log(sum[i]);
                logits[labels[column + i] * stride + column + i] -= 1;
            } else /* padding has no loss */
                for (long k = 0; k < classes; k++)
                    logits[k * stride + column + i] = 0;
        }
    }
    return loss;
}

/* One vector of columns of the weights at a time, copied to a panel that is read along
   its length: the columns themselves lie a whole row apart. */
static void forward_layer(long depth, long height, long stride, const REAL *weights,
                          const REAL *x, REAL *out, REAL *panel, int active)
{
    long row = padded(height);
    for (long column = 0; column < height; column += LANES) {
        long left = height - column < LANES ? height - column : LANES;
        store to = {out + column * stride, 0, stride};
        for (long k = 0; k < depth; k++)
            *at(panel, k * LANES) = *(const vec *)(weights + k * row + column);
        if (active)
            multiply(left, stride, panel, 1, LANES, x, stride, depth, store_active, &to);
        else
            multiply(left, stride, panel, 1, LANES, x, stride, depth, store_plain, &to);
    }
}

/* Take the steps of an epoch (or of its beginning); losses are sums over a batch.

   inputs: (batches, inputs + 1, stride), the last feature 1; labels by sample;
   weights and moments: the layers one after the other; memory: activations, gradients
   and one transposed gradient, as scratch_size says. */
static void step(const network *net, update by, const REAL *input, const int *labels,
                 long size, REAL *memory, double *loss)
{
    long layers = net->layers, stride = net->stride;
    const long *units = net->units;
    REAL *hidden[layers + 1], *gradient[layers], *weights[layers], *turned;
    long place[layers], begin = 0;
    hidden[0] = (REAL *)input;
    for (long i = 0; i < layers; i++) {
        place[i] = begin;
        weights[i] = by.weights + begin;
        begin += (units[i] + 1) * padded(units[i + 1]);
        hidden[i + 1] = memory;
        memory += (units[i + 1] + 1) * stride;
        gradient[i] = i + 1 < layers ? memory : hidden[layers];
        memory += units[i + 1] * stride;
    }
    turned = memory;
    for (long i = 0; i < layers; i++) {
        forward_layer(units[i] + 1, units[i + 1], stride, weights[i], hidden[i],
                      hidden[i + 1], turned, i + 1 < layers);
        for (long k = 0; k < stride; k++)
            hidden[i + 1][units[i + 1] * stride + k] = 1;
    }
    *loss = cross_entropy(hidden[layers], units[layers], stride, labels, size);
    REAL *all = by.weights, *first = by.first, *second = by.second;
    by.scale = (REAL)1 / size;
    for (long i = layers - 1; i >= 0; i--) {
        long row = padded(units[i + 1]);
        transpose(gradient[i], units[i + 1], stride, turned, stride, row);
        if (i) {
            store to = {gradient[i - 1], hidden[i], stride};
            multiply(units[i], stride, weights[i], row, 1, gradient[i], stride,
                     units[i + 1], store_masked, &to);
        }
        by.weights = all + place[i];
        by.first = first + place[i];
        by.second = second + place[i];
        by.stride = row;
        by.biases = units[i];
        by.decay = net->decays[i];
        long height = units[i] + 1;
        const REAL *x = hidden[i];
        if (net->options.adam)
            multiply(height, row, x, stride, 1, turned, row, size, move_adam, &by);
        else if (net->options.nesterov)
            multiply(height, row, x, stride, 1, turned, row, size, move_nesterov, &by);
        else
            multiply(height, row, x, stride, 1, turned, row, size, move_sgd, &by);
    }
}

long dwindle_scratch_size(const network *net)
{
    long widest = 0, size = 0;
    for (long i = 1; i <= net->layers; i++) {
        size += (2 * net->units[i] + 1) * net->stride;
    }
    /* The transposed gradient and the panel take turns. */
    for (long i = 0; i <= net->layers; i++)
        if (padded(net->units[i] + 1) > widest)
            widest = padded(net->units[i] + 1);
    return size + widest * (net->stride > LANES ? net->stride : LANES);
}

void dwindle_epoch(const network *net, const REAL *inputs, const int *labels,
                   long samples, const double *lrs, long steps, long before,
                   REAL *weights, REAL *first, REAL *second, REAL *memory,
                   double *losses)
{
    const optimizer *o = &net->options;
    for (long i = 0; i < steps; i++) {
        long start = i * net->batch, count = before + i + 1;
        long size = samples - start < net->batch ? samples - start : net->batch;
        update by = {weights, first, second, 0, 0, 0, 0, lrs[i], 0, 0, 0, 0, 0, 0, 0};
        by.momentum = o->momentum;
        by.beta1 = o->beta1;
        by.beta2 = o->beta2;
        if (o->adam) {
            by.alpha = !o->decoupled;
            by.beta = o->decoupled ? lrs[i] : 0;
            by.lr = lrs[i] / (1 - pow(o->beta1, count));
            by.root = 1 / sqrt(1 - pow(o->beta2, count));
            by.epsilon = o->epsilon;
        } else {
            int fresh = count == 1 || o->momentum == 0;
            by.beta = fresh ? 0 : o->momentum;
            by.alpha = fresh ? 1 : 1 - o->dampening;
        }
        const REAL *input = inputs + i * (net->units[0] + 1) * net->stride;
        step(net, by, input, labels + start, size, memory, losses + i);
    }
}
