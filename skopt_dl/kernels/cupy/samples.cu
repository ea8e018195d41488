// Loops over single samples of a linear model on a CUDA device: one block goes through the rows in
// their order, so results repeat, and reads and writes no host memory. REAL is float or double, set
// by whoever compiles this. A block's shared memory is that of block_sum, then K numbers twice.

#define OF_BLOCK(k, n) for (long long k = threadIdx.x; k < (n); k += blockDim.x)
#define SQUARED 0
#define LOGISTIC 1

// Replace K raw predictions by the slopes of the loss there: squared, logistic, else multinomial.
__device__ void slopes(int loss, int K, const REAL* y, REAL* z) {
    if (loss == SQUARED) {
        for (int k = 0; k < K; k++) z[k] -= y[k];
    } else if (loss == LOGISTIC) {
        for (int k = 0; k < K; k++) z[k] = 1 / (1 + exp(-z[k])) - y[k];
    } else {
        REAL top = z[0], total = 0;
        for (int k = 1; k < K; k++) top = z[k] > top ? z[k] : top;
        for (int k = 0; k < K; k++) total += z[k] = exp(z[k] - top);
        for (int k = 0; k < K; k++) z[k] = z[k] / total - y[k];
    }
}

// SAGA (kind 0), SVRG (1), whose table stays as it is, and SAG (2), a step for each of the n_order
// samples: on dense rows or, with `columns`, on rows in CSR form, where `reach` makes up for the
// draws that miss a column.
extern "C" __global__ void sample_steps(long long n, int p, int K, int n_order, const int* order,
                                        int kind, int loss, const REAL* data, const int* columns,
                                        const int* ptr, const REAL* reach, const REAL* mean,
                                        const REAL* y, const REAL* scale, const REAL* boost,
                                        REAL step, int positive, int intercept,
                                        const REAL* threshold, const REAL* shrink, const REAL* l2,
                                        REAL* W, REAL* b, REAL* table, REAL* average,
                                        REAL* average_b) {
    REAL *z = (REAL*)shared_bytes + blockDim.x, *d = z + K;
    for (int t = 0; t < n_order; t++) {
        long long i = order[t], first = columns ? ptr[i] : i * p;
        int size = columns ? ptr[i + 1] - ptr[i] : p;
        const REAL* x = data + first;
        for (int k = 0; k < K; k++) {
            REAL sum = 0;
            OF_BLOCK(a, size) {
                long long j = columns ? columns[first + a] : a;
                sum += (x[a] - mean[j]) * W[j * K + k];
            }
            sum = block_sum(sum);
            if (threadIdx.x == 0) z[k] = b[k] + sum;
        }
        if (threadIdx.x == 0) {
            slopes(loss, K, y + i * K, z);
            for (int k = 0; k < K; k++) {
                d[k] = scale[i] * z[k] - table[i * K + k];
                if (kind != 1) table[i * K + k] += d[k];
                if (!intercept) continue;
                if (kind == 2) {
                    average_b[k] += d[k] / n;
                    b[k] -= step * average_b[k];
                } else {
                    b[k] -= step * (boost[i] * d[k] + average_b[k]);
                    if (kind == 0) average_b[k] += d[k] / n;
                }
            }
        }
        __syncthreads();
        OF_BLOCK(a, size) {
            long long j = columns ? columns[first + a] : a;
            REAL centred = x[a] - mean[j];
            for (int k = 0; k < K; k++) {
                long long e = j * K + k;
                REAL now = average[e];
                if (kind != 1) average[e] = now + d[k] / n * centred;
                if (kind == 2) continue;
                REAL v = W[e] - step * (boost[i] * d[k] * centred + reach[j] * now);
                REAL rest = (positive ? v : fabs(v)) - threshold[e];
                W[e] = rest > 0 ? (v > 0 ? rest : -rest) * shrink[e] : (REAL)0;
            }
        }
        // In another row other threads have these columns.
        __syncthreads();
        if (kind != 2) continue;
        for (long long e = threadIdx.x; e < (long long)p * K; e += blockDim.x)
            W[e] -= step * (average[e] + l2[e] * W[e]);
        __syncthreads();
    }
}

// argmin_z  sigma loss(y, z) + (z - v)^2 / 2.
__device__ REAL loss_prox(int loss, REAL y, REAL v, REAL sigma) {
    if (loss != LOGISTIC) return (v + sigma * y) / (1 + sigma);
    REAL z = 0;
    for (int turn = 0; turn < 30; turn++) {
        REAL p = 1 / (1 + exp(-z)), s = (z - v + sigma * (p - y)) / (1 + sigma * p * (1 - p));
        z -= s;
        if (fabs(s) <= (REAL)1e-16 * fabs(z)) break;
    }
    return z;
}

// Coefficients of an elastic net from the dual point v.
__device__ REAL dual_coefficient(REAL v, REAL l1, REAL l2, int positive) {
    REAL size = (positive ? v : fabs(v)) - l1;
    return size > 0 ? (v > 0 ? size : -size) / l2 : (REAL)0;
}

// Dual coordinate ascent on dense rows or, with `columns`, on rows in CSR form: a step for each of
// the n_order samples, in place on u and v. `largest` keeps the largest change of a variable.
extern "C" __global__ void dual_steps(int p, int K, int n_order, const int* order, int loss,
                                      const REAL* data, const int* columns, const int* ptr,
                                      const REAL* mean, const REAL* y, const REAL* omega,
                                      const REAL* sigma, int positive, const REAL* l1,
                                      const REAL* l2, REAL* u, REAL* v, REAL* largest) {
    REAL *z = (REAL*)shared_bytes + blockDim.x, *d = z + K;
    for (int t = 0; t < n_order; t++) {
        long long i = order[t], first = columns ? ptr[i] : i * p;
        int size = columns ? ptr[i + 1] - ptr[i] : p;
        if (!(omega[i] > 0)) continue;
        const REAL* x = data + first;
        for (int k = 0; k < K; k++) {
            REAL sum = 0;
            OF_BLOCK(a, size) {
                long long j = columns ? columns[first + a] : a, e = j * K + k;
                sum += (x[a] - mean[j]) * dual_coefficient(v[e], l1[e], l2[e], positive);
            }
            sum = block_sum(sum);
            if (threadIdx.x == 0)
                z[k] = loss_prox(loss, y[i * K + k], sum + sigma[i] * u[i * K + k], sigma[i]);
        }
        if (threadIdx.x == 0) {
            slopes(loss, K, y + i * K, z);
            for (int k = 0; k < K; k++) {
                d[k] = z[k] - u[i * K + k];
                u[i * K + k] += d[k];
                if (fabs(d[k]) > *largest) *largest = fabs(d[k]);
            }
        }
        __syncthreads();
        OF_BLOCK(a, size) {
            long long j = columns ? columns[first + a] : a;
            for (int k = 0; k < K; k++) v[j * K + k] -= omega[i] * (x[a] - mean[j]) * d[k];
        }
        // In another row other threads have these columns.
        __syncthreads();
    }
}
