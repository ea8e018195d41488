// Proximal operators of penalties on single coefficients and on groups of them, on a CUDA device.
// REAL is float or double, set by whoever compiles this. A step or a strength is a number, one number
// on the device, or an array with an entry for each coefficient or group.

// `number` where there is no array; `many` says whether there is an entry for each coefficient.
__device__ REAL entry(const REAL* array, REAL number, int many, long long i) {
    return array ? array[many ? i : 0] : number;
}

__device__ REAL least(REAL a, REAL b) { return a < b ? a : b; }
__device__ REAL most(REAL a, REAL b) { return a > b ? a : b; }

// x with the sign of v.
__device__ REAL as_signed(REAL x, REAL v) { return v < 0 ? -x : x; }

extern "C" __global__ void prox_elastic_net(long long n, const REAL* v, const REAL* steps,
                                            REAL step, int many_steps, const REAL* l1s, REAL l1,
                                            int many_l1, const REAL* l2s, REAL l2, int many_l2,
                                            int positive, REAL* out) {
    EACH(i, n) {
        REAL s = entry(steps, step, many_steps, i), t = v[i];
        REAL size = (positive ? t : fabs(t)) - s * entry(l1s, l1, many_l1, i);
        // What is not a number stays so.
        size = size < 0 ? (REAL)0 : size;
        out[i] = as_signed(size, positive ? (REAL)0 : t) / (1 + s * entry(l2s, l2, many_l2, i));
    }
}

extern "C" __global__ void prox_mcp(long long n, const REAL* v, const REAL* steps, REAL step,
                                    int many_steps, const REAL* alphas, REAL alpha, int many_alphas,
                                    REAL gamma, REAL* out) {
    EACH(i, n) {
        REAL s = entry(steps, step, many_steps, i), a = entry(alphas, alpha, many_alphas, i);
        REAL t = v[i], size = fabs(t);
        if (s < gamma)
            out[i] = size <= gamma * a ? as_signed(most(size - s * a, 0), t) / (1 - s / gamma) : t;
        else
            out[i] = size <= sqrt(gamma * s) * a ? (REAL)0 : t;
    }
}

__device__ REAL scad(REAL size, REAL alpha, REAL a) {
    REAL middle = most(least(size, a * alpha) - alpha, 0);
    return alpha * (least(size, alpha) + middle) - middle * middle / (2 * (a - 1));
}

extern "C" __global__ void prox_scad(long long n, const REAL* v, const REAL* steps, REAL step,
                                     int many_steps, const REAL* alphas, REAL alpha,
                                     int many_alphas, REAL a, REAL* out) {
    EACH(i, n) {
        REAL s = entry(steps, step, many_steps, i), b = entry(alphas, alpha, many_alphas, i);
        REAL t = v[i], size = fabs(t), soft = most(size - s * b, 0), w;
        if (s < a - 1) {
            w = size <= (1 + s) * b ? soft
                : size <= a * b     ? ((a - 1) * size - a * s * b) / (a - 1 - s)
                                    : size;
        } else {
            REAL low = least(soft, b), high = most(size, a * b), half = (REAL)0.5;
            REAL one = s * scad(low, b, a) + half * (low - size) * (low - size);
            REAL two = s * scad(high, b, a) + half * (high - size) * (high - size);
            w = one <= two ? low : high;
        }
        out[i] = t == t ? as_signed(w, t) : t;
    }
}

// Groups of up to k coefficients: rows of m side by side in v, or those that `members` names, of which
// `present` is 1 for true ones and 0 for what a row is filled up with. `width` threads, a power of two,
// share a group; the sum of its squares has one order, so results repeat.
extern "C" __global__ void prox_groups(int m, int k, int lanes, const long long* members,
                                       const REAL* present, const REAL* v, const REAL* steps,
                                       REAL step, int many_steps, const REAL* l1s, REAL l1,
                                       int many_l1, REAL l2, REAL* out) {
    REAL* partial = (REAL*)shared_bytes;
    int threads = blockDim.x, width = lanes < threads ? lanes : threads;
    int together = threads / width, lane = threadIdx.x % width, place = threadIdx.x / width;
    REAL s = entry(steps, step, many_steps, 0);
    for (long long first = (long long)blockIdx.x * together; first < m;
         first += (long long)gridDim.x * together) {
        long long g = first + place, row = g * k;
        int size = g < m ? k : 0;
        REAL sum = 0;
        for (int c = lane; c < size; c += width) {
            REAL x = members ? v[members[row + c]] * present[row + c] : v[row + c];
            sum += x * x;
        }
        partial[threadIdx.x] = sum;
        for (int half = width / 2; half > 0; half /= 2) {
            __syncthreads();
            if (lane < half) partial[threadIdx.x] += partial[threadIdx.x + half];
        }
        __syncthreads();
        REAL norm = sqrt(partial[place * width]), share = 0;
        // The next groups' sums must not come before all have read this one's.
        __syncthreads();
        if (g < m) {
            REAL limit = s * entry(l1s, l1, many_l1, g);
            share = norm > limit ? 1 - limit / norm : (REAL)0;
        }
        for (int c = lane; c < size; c += width) {
            if (members && present[row + c] == 0) continue;
            long long j = members ? members[row + c] : row + c;
            // Not by l2 = 0 times a step that may be infinite.
            out[j] = l2 == 0 ? share * v[j] : share * v[j] / (1 + s * l2);
        }
    }
}
