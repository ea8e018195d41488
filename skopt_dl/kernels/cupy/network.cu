// Passes of a multi-layer perceptron on a CUDA device. REAL is float or double, set by whoever
// compiles this. Arrays are in C order; every sum has one order, so results repeat.

// A block of MATRIX_THREADS computes TILE x TILE entries of a product, MICRO x MICRO a thread, from
// DEPTH columns of the left factor at a time.
#define TILE 32
#define DEPTH 16
#define MICRO 4
#define MATRIX_THREADS 64
#define PITCH (TILE + 1)
// Columns of a block that adds along columns: neighbours read a piece of 32 or 64 bytes.
#define COLUMNS 8

// out = op(A) op(B) of shapes (m, p) and (p, n), op being the transpose where ta or tb is set.
extern "C" __global__ void __launch_bounds__(MATRIX_THREADS)
    product(int m, int n, int p, int ta, int tb, const REAL* A, const REAL* B, REAL* out) {
    REAL* a = (REAL*)shared_bytes;
    REAL* b = a + DEPTH * PITCH;
    int across = (n + TILE - 1) / TILE, tiles = (m + TILE - 1) / TILE * across;
    int above = threadIdx.x / (TILE / MICRO) * MICRO, left = threadIdx.x % (TILE / MICRO) * MICRO;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int row = tile / across * TILE, col = tile % across * TILE;
        REAL sum[MICRO][MICRO] = {};
        for (int start = 0; start < p; start += DEPTH) {
            __syncthreads();
            for (int e = threadIdx.x; e < DEPTH * TILE; e += MATRIX_THREADS) {
                // Neighbouring threads read neighbours in memory, whichever way a factor lies.
                int d = ta ? e / TILE : e % DEPTH, i = row + (ta ? e % TILE : e / DEPTH);
                long long l = start + d;
                a[d * PITCH + i - row] =
                    i < m && l < p ? A[ta ? l * m + i : (long long)i * p + l] : (REAL)0;
                d = tb ? e % DEPTH : e / TILE;
                int j = col + (tb ? e / DEPTH : e % TILE);
                l = start + d;
                b[d * PITCH + j - col] =
                    j < n && l < p ? B[tb ? (long long)j * p + l : l * n + j] : (REAL)0;
            }
            __syncthreads();
            for (int d = 0; d < DEPTH; d++)
                for (int i = 0; i < MICRO; i++)
                    for (int j = 0; j < MICRO; j++)
                        sum[i][j] += a[d * PITCH + above + i] * b[d * PITCH + left + j];
        }
        for (int i = 0; i < MICRO; i++)
            for (int j = 0; j < MICRO; j++) {
                int r = row + above + i, c = col + left + j;
                if (r < m && c < n) out[(long long)r * n + c] = sum[i][j];
            }
    }
}

// out[i] = A[index[i]] for m rows of k.
extern "C" __global__ void gather_rows(long long m, int k, const long long* index, const REAL* A,
                                       REAL* out) {
    EACH(e, m * k) out[e] = A[index[e / k] * k + e % k];
}

__device__ REAL sigmoid(REAL z) {
    REAL e = exp(-fabs(z));
    return (z < 0 ? e : (REAL)1) / (1 + e);
}

// The activations of skopt_dl.activations by their numbers: the value at z; its slope in *slope.
__device__ REAL activation(int kind, REAL c, REAL z, REAL* slope) {
    const REAL half = (REAL)0.5, scale = (REAL)1.0507009873554804934;
    const REAL rise = (REAL)0.79788456080286535588, cube = (REAL)0.044715, end = 30;
    REAL a = z, s = 1;
    if (kind == 1) {
        a = sigmoid(z);
        s = a * (1 - a);
    } else if (kind == 2) {
        a = tanh(z);
        s = 1 - a * a;
    } else if (kind == 3) {
        // What is not a number stays so, for the guard that looks for it.
        a = z < 0 ? (REAL)0 : z;
        s = z > 0 ? (REAL)1 : (REAL)0;
    } else if (kind == 4) {
        s = z > 0 ? (REAL)1 : c;
        a = s * z;
    } else if (kind == 5 || kind == 7) {
        REAL below = kind == 7 ? scale * (REAL)1.6732632423543772848 : c;
        REAL above = kind == 7 ? scale : (REAL)1;
        REAL e = z > 0 ? (REAL)0 : below * expm1(z);
        a = z > 0 ? above * z : e;
        s = z > 0 ? above : e + below;
    } else if (kind == 6) {
        a = log1p(exp(-fabs(z))) + (z > 0 ? z : (REAL)0);
        s = sigmoid(z);
    } else if (kind == 8) {
        REAL v = z < -end ? -end : z > end ? end : z;
        REAL t = tanh(rise * (v + cube * v * v * v));
        a = half * z * (1 + t);
        s = half * (1 + t) + half * z * (1 - t * t) * rise * (1 + 3 * cube * v * v);
    } else if (kind == 9) {
        REAL g = sigmoid(z);
        a = z * g;
        s = g * (1 + z * (1 - g));
    } else if (kind == 10) {
        REAL e = exp(-fabs(z)), twice = e * (e + 2);
        REAL t = z > 0 ? (1 + 2 * e) / (1 + 2 * e + 2 * e * e) : twice / (twice + 2);
        a = z * t;
        s = t + z * (1 - t * t) * sigmoid(z);
    }
    *slope = s;
    return a;
}

// z becomes the outputs of a layer of k units, of m rows: f(z + b), times the mask where there is
// one. So does their slope in z, where it is asked for.
extern "C" __global__ void activate(long long size, int k, int kind, REAL c, const REAL* b,
                                    const REAL* mask, REAL* z, REAL* slope) {
    EACH(i, size) {
        REAL s, a = activation(kind, c, z[i] + b[i % k], &s);
        REAL kept = mask ? mask[i] : (REAL)1;
        z[i] = kept * a;
        if (slope) slope[i] = kept * s;
    }
}

// d times the slope where there is one, in place, and the sums of its columns.
extern "C" __global__ void activate_back(int m, int k, const REAL* slope, REAL* d, REAL* sums) {
    REAL* partial = (REAL*)shared_bytes;
    int width = blockDim.x < COLUMNS ? blockDim.x : COLUMNS, lanes = blockDim.x / width;
    int c = threadIdx.x % width, lane = threadIdx.x / width;
    for (int first = blockIdx.x * width; first < k; first += gridDim.x * width) {
        REAL sum = 0;
        if (lane < lanes && first + c < k)
            for (int i = lane; i < m; i += lanes) {
                long long e = (long long)i * k + first + c;
                REAL each = slope ? d[e] * slope[e] : d[e];
                if (slope) d[e] = each;
                sum += each;
            }
        partial[threadIdx.x] = sum;
        __syncthreads();
        if (lane == 0 && first + c < k) {
            for (int l = 1; l < lanes; l++) sum += partial[l * width + c];
            sums[first + c] = sum;
        }
        __syncthreads();
    }
}

__device__ REAL block_max(REAL x) {
    REAL* partial = (REAL*)shared_bytes;
    __syncthreads();
    partial[threadIdx.x] = x;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half && partial[threadIdx.x + half] > partial[threadIdx.x])
            partial[threadIdx.x] = partial[threadIdx.x + half];
    }
    __syncthreads();
    return partial[0];
}

// The largest entry of a row of softmax's k raw outputs z + b, and the sum of their exponentials.
__device__ void normalise(int k, const REAL* b, const REAL* z, REAL* largest, REAL* total) {
    REAL most = z[0] + b[0], sum = 0;
    for (int c = threadIdx.x; c < k; c += blockDim.x) {
        REAL t = z[c] + b[c];
        most = t > most ? t : most;
    }
    *largest = block_max(most);
    for (int c = threadIdx.x; c < k; c += blockDim.x) sum += exp(z[c] + b[c] - *largest);
    *total = block_sum(sum);
}

// What an output of kind (identity, logistic, softmax, exp) makes of a raw output.
__device__ REAL response(int kind, REAL z, REAL largest, REAL total) {
    if (kind == 1) return sigmoid(z);
    if (kind == 2) return exp(z - largest) / total;
    return kind == 3 ? exp(z) : z;
}

// A block for a row at a time: raw outputs z + b become responses.
extern "C" __global__ void respond(int m, int k, int kind, const REAL* b, REAL* z) {
    for (int i = blockIdx.x; i < m; i += gridDim.x) {
        REAL* row = z + (long long)i * k;
        REAL largest = 0, total = 1;
        if (kind == 2) normalise(k, b, row, &largest, &total);
        for (int c = threadIdx.x; c < k; c += blockDim.x)
            row[c] = response(kind, row[c] + b[c], largest, total);
    }
}

// 1 / the sum of the weights; of m ones where there are none; 0 where nothing has weight. One block.
extern "C" __global__ void share_of(int m, const REAL* weights, REAL* share) {
    REAL sum = 0;
    for (int i = threadIdx.x; i < m; i += blockDim.x) sum += weights ? weights[i] : (REAL)1;
    sum = block_sum(sum);
    if (threadIdx.x == 0) *share = sum > 0 ? 1 / sum : (REAL)0;
}

// A block for a row at a time: its loss times its weight, and z becomes the derivative of the mean
// loss in the raw outputs z + b. With floor > 0 probabilities are kept in [floor, 1 - floor].
extern "C" __global__ void output_loss(int m, int k, int kind, REAL floor, const REAL* b,
                                       const REAL* y, const REAL* weights, const REAL* share,
                                       REAL* z, REAL* each) {
    for (int i = blockIdx.x; i < m; i += gridDim.x) {
        REAL* row = z + (long long)i * k;
        const REAL* target = y + (long long)i * k;
        REAL weight = weights ? weights[i] : (REAL)1, scale = *share * weight;
        REAL largest = 0, total = 1, loss = 0;
        if (kind == 2) normalise(k, b, row, &largest, &total);
        for (int c = threadIdx.x; c < k; c += blockDim.x) {
            REAL t = row[c] + b[c], goal = target[c], r = response(kind, t, largest, total);
            if (kind == 0) {
                loss += (REAL)0.5 * (t - goal) * (t - goal);
            } else if (kind == 3) {
                loss += goal * (log(goal > 0 ? goal : (REAL)1) - t - 1) + r;
            } else if (floor > 0) {
                REAL p = r < floor ? floor : r > 1 - floor ? 1 - floor : r;
                loss -= goal * log(p);
                if (kind == 1) loss -= (1 - goal) * log(1 - p);
            } else if (kind == 1) {
                loss += log1p(exp(-fabs(t))) + (t > 0 ? t : (REAL)0) - goal * t;
            } else {
                loss += goal * (log(total) - (t - largest));
            }
            row[c] = scale * (r - goal);
        }
        loss = block_sum(loss);
        if (threadIdx.x == 0) each[i] = weight * loss;
    }
}

// grad += alpha share w over n coefficients, and each block's sum of squares.
extern "C" __global__ void add_ridge(long long n, REAL alpha, const REAL* share, const REAL* w,
                                     REAL* grad, REAL* squares) {
    REAL sum = 0, strength = alpha * *share;
    EACH(i, n) {
        grad[i] += strength * w[i];
        sum += w[i] * w[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// out = {mean loss, penalty} from the rows' losses and the blocks' squares. One block.
extern "C" __global__ void total(int m, int parts, REAL alpha, const REAL* share,
                                 const REAL* each, const REAL* squares, REAL* out) {
    REAL loss = 0, square = 0;
    for (int i = threadIdx.x; i < m; i += blockDim.x) loss += each[i];
    for (int i = threadIdx.x; i < parts; i += blockDim.x) square += squares[i];
    loss = block_sum(loss);
    square = block_sum(square);
    if (threadIdx.x == 0) {
        out[0] = *share * loss;
        out[1] = (REAL)0.5 * alpha * *share * square;
    }
}
