# A polynomial through noisy points, by gradient descent with a penalty: not Python.
# To find its penalty:
#
# dwindle find --knob torch.optim.SGD --low 1e-4 --high 1 --metric loss \
#     -- awk -f find_curve.awk -v weight_decay={weight_decay} -v seed={seed}
#
# The penalty is that of torch's SGD, weight_decay/2 of the sum of squares: after
# enough steps the answer holds for every lr. The seed draws the points.

function noise() { return rand() + rand() + rand() - 1.5 }  # sd 0.5
function legendre(x, k) {  # the k-th of a family of polynomials on -1 … 1
    if (k == 0) return 1
    if (k == 1) return x
    return ((2 * k - 1) * x * legendre(x, k - 1) - (k - 1) * legendre(x, k - 2)) / k
}
function value(row,    k, sum) {
    sum = 0
    for (k = 0; k <= DEGREE; k++) sum += weight[k] * basis[row, k]
    return sum
}

BEGIN {
    DEGREE = 7; POINTS = 14; HELD_OUT = 200; LR = 0.3
    if (steps == "") steps = 300
    srand(seed + 1)  # some awks take 0 for 1
    for (row = 0; row < POINTS + HELD_OUT; row++) {
        x = 2 * rand() - 1
        for (k = 0; k <= DEGREE; k++) basis[row, k] = legendre(x, k)
        # Curves differ from seed to seed; only the points of training have noise.
        target[row] = sin(3 * x) + (row < POINTS) * noise()
    }
    for (step = 0; step < steps; step++) {
        for (k = 0; k <= DEGREE; k++) slope[k] = weight_decay * weight[k]
        for (row = 0; row < POINTS; row++) {
            miss = value(row) - target[row]
            for (k = 0; k <= DEGREE; k++) slope[k] += miss * basis[row, k] / POINTS
        }
        for (k = 0; k <= DEGREE; k++) weight[k] -= LR * slope[k]
    }
    for (row = POINTS; row < POINTS + HELD_OUT; row++)
        loss += (value(row) - target[row]) ^ 2 / HELD_OUT
    printf "loss %.8f\n", loss
}
