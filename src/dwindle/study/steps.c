/* An epoch of one dense ReLU network: forward, backward and update, in one go.

   Compiled on the machine that runs it, for its own vector width. Everything lies
   features first: activations and their gradients are (units, batch), the batch padded
   to whole cache lines; a layer's weights are (fan_in + 1, fan_out), the last row its
   biases (their input is always 1), the columns padded likewise with zeros that stay
   zero. All three products of a layer are then of one kind: rows of scalars times
   rows of vectors. The last of them, the gradient by the weights, hands each tile to
   the optimizer while it is still in registers: no gradient is ever stored.

   No fast-math: a network that overflows must become NaN and stay it. */

#include "vectors.h"

typedef struct {
    long adam, nesterov, decoupled;
    double momentum, dampening, beta1, beta2, epsilon;
} optimizer;

typedef struct {
    long layers, batch, stride; /* samples of a full batch; padded to vectors */
    double norm_epsilon;        /* of a LayerNorm before each ReLU; 0: there is none */
    const long *units;          /* inputs, hidden ..., classes */
    const double *decays;       /* of each layer, after normalization */
    optimizer options;
} network;

typedef struct {
    REAL *weights, *first, *second;
    long stride, biases; /* row length, number of the row of biases */
    REAL scale, decay, lr, beta, alpha, momentum, beta1, beta2, root, epsilon;
} update;

INLINE REAL decay_of(const update *by, long row)
{
    return row == by->biases ? 0 : by->decay;
}

INLINE void move_sgd(const void *context, long row, long column, long rows,
                     long columns, tile sum)
{
    const update *by = context;
    EACH_VECTOR {
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
    EACH_VECTOR {
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
    EACH_VECTOR {
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

/* Columns of the weights, one cache line wide, are copied to a panel that is read along
   its length: the columns themselves lie a whole row apart. */
static void forward_layer(long depth, long height, long stride, const REAL *weights,
                          const REAL *x, REAL *out, REAL *panel, int active)
{
    long row = padded(height);
    for (long column = 0; column < height; column += LINE) {
        long rows = height - column < LINE ? height - column : LINE;
        store to = {out + column * stride, 0, stride};
        for (long k = 0; k < depth; k++)
            for (long i = 0; i < LINE; i += LANES)
                *at(panel, k * LINE + i) =
                    *(const vec *)(weights + k * row + column + i);
        if (active)
            multiply(rows, stride, panel, 1, LINE, x, stride, depth, store_active,
                     &to);
        else
            multiply(rows, stride, panel, 1, LINE, x, stride, depth, store_plain, &to);
    }
}

/* Each sample over the units of a layer: x becomes (x - mean) / root(variance + epsilon),
   and a last row keeps the factor 1 / root of every sample. */
static void normalize(REAL *x, long units, long stride, REAL epsilon)
{
    for (long column = 0; column < stride; column += LANES) {
        vec mean = {0}, variance = {0};
        for (long k = 0; k < units; k++)
            mean += *at(x, k * stride + column);
        mean /= (REAL)units;
        for (long k = 0; k < units; k++) {
            vec off = *at(x, k * stride + column) - mean;
            variance += off * off;
        }
        vec factor = 1 / square_root(variance / (REAL)units + epsilon);
        for (long k = 0; k < units; k++) {
            vec *value = at(x, k * stride + column);
            *value = (*value - mean) * factor;
        }
        *at(x, units * stride + column) = factor;
    }
}

/* The gradient below a normalization: what moves the mean or the scale is taken out. */
static void normalized_gradient(REAL *gradient, REAL *normal, long units, long stride)
{
    for (long column = 0; column < stride; column += LANES) {
        vec mean = {0}, along = {0}, factor = *at(normal, units * stride + column);
        for (long k = 0; k < units; k++) {
            mean += *at(gradient, k * stride + column);
            along += *at(gradient, k * stride + column) * *at(normal, k * stride + column);
        }
        mean /= (REAL)units;
        along /= (REAL)units;
        for (long k = 0; k < units; k++) {
            vec *value = at(gradient, k * stride + column);
            *value = factor * (*value - mean - along * *at(normal, k * stride + column));
        }
    }
}

/* Where the activations and gradients of a step are, layer by layer; ``normal`` are the
   normalized outputs before their ReLU, with the factors of the samples behind them. */
typedef struct {
    REAL **hidden, **gradient, **normal, *turned;
} space;

static void forward(const network *net, const REAL *weights, const space *in)
{
    for (long i = 0; i < net->layers; i++) {
        long below = net->units[i], units = net->units[i + 1], stride = net->stride;
        int active = i + 1 < net->layers, normed = active && net->norm_epsilon > 0;
        forward_layer(below + 1, units, stride, weights, in->hidden[i],
                      normed ? in->normal[i] : in->hidden[i + 1], in->turned,
                      active && !normed);
        if (normed) {
            normalize(in->normal[i], units, stride, net->norm_epsilon);
            for (long k = 0; k < units * stride; k += LANES) {
                vec value = *at(in->normal[i], k);
                *at(in->hidden[i + 1], k) = where(~(value < (vec){0}), value);
            }
        }
        for (long k = 0; k < stride; k++)
            in->hidden[i + 1][units * stride + k] = 1;
        weights += (below + 1) * padded(units);
    }
}

/* From the last layer on: pass the gradient down with the old weights, then move them.
   ``by`` begins behind the last layer. */
static void backward(const network *net, update by, long size, const space *in)
{
    long stride = net->stride;
    for (long i = net->layers - 1; i >= 0; i--) {
        long below = net->units[i], units = net->units[i + 1], row = padded(units);
        const REAL *x = in->hidden[i];
        by.weights -= (below + 1) * row;
        by.first -= (below + 1) * row;
        by.second -= (below + 1) * row;
        by.stride = row;
        by.biases = below;
        by.decay = net->decays[i];
        transpose(in->gradient[i], units, stride, in->turned, stride, row);
        if (i) {
            store to = {in->gradient[i - 1], x, stride};
            multiply(below, stride, by.weights, row, 1, in->gradient[i], stride, units,
                     store_masked, &to);
            if (net->norm_epsilon > 0)
                normalized_gradient(in->gradient[i - 1], in->normal[i - 1], below,
                                    stride);
        }
        REAL *turned = in->turned;
        if (net->options.adam)
            multiply(below + 1, row, x, stride, 1, turned, row, size, move_adam, &by);
        else if (net->options.nesterov)
            multiply(below + 1, row, x, stride, 1, turned, row, size, move_nesterov,
                     &by);
        else
            multiply(below + 1, row, x, stride, 1, turned, row, size, move_sgd, &by);
    }
}

/* Forward, loss and backward of a batch. */
static double step(const network *net, update by, const REAL *input, const int *labels,
                   long size, REAL *memory)
{
    long layers = net->layers, stride = net->stride, weights = 0;
    REAL *hidden[layers + 1], *gradient[layers], *normal[layers];
    hidden[0] = (REAL *)input;
    for (long i = 0; i < layers; i++) {
        long units = net->units[i + 1];
        hidden[i + 1] = memory;
        /* Logits become their gradients in place. */
        gradient[i] = i + 1 < layers ? memory + (units + 1) * stride : memory;
        memory += (2 * units + 1) * stride;
        normal[i] = memory;
        memory += net->norm_epsilon > 0 ? (units + 1) * stride : 0;
        weights += (net->units[i] + 1) * padded(units);
    }
    space in = {hidden, gradient, normal, memory};
    forward(net, by.weights, &in);
    double loss =
        cross_entropy(hidden[layers], net->units[layers], stride, labels, size);
    by.scale = (REAL)1 / size;
    by.weights += weights;
    by.first += weights;
    by.second += weights;
    backward(net, by, size, &in);
    return loss;
}

/* Activations and gradients, and what transposed gradient and panel take turns in. */
long dwindle_scratch_size(const network *net)
{
    long widest = 0, size = 0;
    for (long i = 0; i <= net->layers; i++) {
        size += i ? (2 * net->units[i] + 1) * net->stride : 0;
        size += i && net->norm_epsilon > 0 ? (net->units[i] + 1) * net->stride : 0;
        if (padded(net->units[i] + 1) > widest)
            widest = padded(net->units[i] + 1);
    }
    return size + widest * net->stride;
}

/* Take the steps of an epoch, or of its beginning, after ``before`` others.

   inputs: (batches, inputs + 1, stride), the last feature 1; labels: by sample; weights
   and both moments: (fan_in + 1, padded fan_out), the layers one after the other; lrs:
   one per step; memory: dwindle_scratch_size numbers; losses: sums over each batch. */
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
        losses[i] = step(net, by, input, labels + start, size, memory);
    }
}
