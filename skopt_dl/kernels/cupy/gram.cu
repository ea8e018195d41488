// Coordinate descent of which all inner products are known, on a CUDA device: whole epochs in one
// launch of one block, that reads and writes no host memory. REAL is float or double, set by
// whoever compiles this. Every thread of the block takes the same decisions from the same numbers.

#define OF_BLOCK(k, n) for (long long k = threadIdx.x; k < (n); k += blockDim.x)

// Decide what follows a sweep whose largest step was `indicator`; whether it was the last.
__device__ bool swept(bool active, REAL indicator, REAL target, int max_active, REAL again,
                      REAL* full, int* left) {
    if (active) {
        *left = indicator > again * *full ? *left - 1 : 0;
        return false;
    }
    *full = indicator;
    *left = max_active;
    return indicator <= target;
}

__device__ void keep(REAL* state, int done, REAL full, int left) {
    __syncthreads();
    if (threadIdx.x == 0) {
        state[0] = done;
        state[1] = full;
        state[2] = left;
    }
}

// Epochs on  1/2 w'Gw - ... + sum_j l1_j |w_j| + l2_j / 2 w_j^2,  in place on w and q, minus the
// slope of the smooth part at w. state = {epochs done, full_indicator, active_left}.
extern "C" __global__ void cd_gram(int p, int n_order, const int* order, const REAL* G, REAL* q,
                                   REAL* w, const REAL* curvature, const REAL* l1, const REAL* l2,
                                   int positive, int n_epochs, REAL target, int max_active,
                                   REAL again, REAL* state) {
    REAL full = state[1];
    int left = (int)state[2], done = 0;
    while (done < n_epochs) {
        bool active = left > 0;
        REAL indicator = 0;
        for (int t = 0; t < n_order; t++) {
            int j = order[t];
            REAL old = w[j], L = curvature[j], next;
            if (active && old == 0) continue;
            if (L > 0) {
                REAL v = old + q[j] / L, rest = l1[j] / L;
                REAL size = (positive ? v : fabs(v)) - rest;
                next = size > 0 ? (v > 0 ? size : -size) / (1 + l2[j] / L) : (REAL)0;
            } else {
                next = old != 0 && l1[j] + l2[j] > 0 ? (REAL)0 : old;
            }
            REAL change = next - old;
            if (change == 0) continue;
            // All have read w[j] and q[j] before they change, and see the changes after.
            __syncthreads();
            if (threadIdx.x == 0) w[j] = next;
            if (L > 0) {
                OF_BLOCK(k, p) q[k] -= change * G[(long long)j * p + k];
                REAL size = fabs(change) * sqrt(L);
                indicator = size > indicator ? size : indicator;
            }
            __syncthreads();
        }
        done++;
        if (swept(active, indicator, target, max_active, again, &full, &left)) break;
    }
    keep(state, done, full, left);
}

// The same over rows of K coefficients, whose norms are charged with l1: in place on W of shape
// (p, K) and Q of shape (K, p), minus the slope. A row's change is shared by the block's threads.
extern "C" __global__ void cd_rows(int p, int K, int n_order, const int* order, const REAL* G,
                                   REAL* Q, REAL* W, const REAL* curvature, REAL l1, REAL l2,
                                   int n_epochs, REAL target, int max_active, REAL again,
                                   REAL* state) {
    REAL* change = (REAL*)shared_bytes;
    REAL full = state[1];
    int left = (int)state[2], done = 0;
    while (done < n_epochs) {
        bool active = left > 0;
        REAL indicator = 0;
        for (int t = 0; t < n_order; t++) {
            int j = order[t];
            REAL* w = W + (long long)j * K;
            REAL L = curvature[j], square = 0, moved = 0, share = 0;
            bool zero = true;
            for (int k = 0; k < K; k++) {
                REAL g = Q[(long long)k * p + j] + L * w[k];
                square += g * g;
                zero = zero && w[k] == 0;
            }
            if (active && zero) continue;
            if (!(L > 0)) {
                if (zero || !(l1 + l2 > 0)) continue;
                __syncthreads();
                OF_BLOCK(k, K) w[k] = 0;
                __syncthreads();
                continue;
            }
            REAL norm = sqrt(square);
            if (norm > l1) share = (1 - l1 / norm) / (L + l2);
            for (int k = 0; k < K; k++) {
                REAL d = share * (Q[(long long)k * p + j] + L * w[k]) - w[k];
                moved += d * d;
            }
            if (moved == 0) continue;
            // All have read the row before it changes, and see the changes after.
            __syncthreads();
            OF_BLOCK(k, K) {
                REAL next = share * (Q[k * p + j] + L * w[k]);
                change[k] = next - w[k];
                w[k] = next;
            }
            __syncthreads();
            for (int k = 0; k < K; k++)
                OF_BLOCK(c, p) Q[(long long)k * p + c] -= change[k] * G[(long long)j * p + c];
            REAL size = sqrt(moved) * sqrt(L);
            indicator = size > indicator ? size : indicator;
            __syncthreads();
        }
        done++;
        if (swept(active, indicator, target, max_active, again, &full, &left)) break;
    }
    keep(state, done, full, left);
}

// The same over blocks of coefficients, block b those of members[starts[b]] on, which take proximal
// steps of length 1 / lipschitz[b] for the norms of blocks, charged with `strengths`.
extern "C" __global__ void cd_blocks(int p, int n_order, const int* order, const int* starts,
                                     const int* members, const REAL* G, REAL* q, REAL* w,
                                     const REAL* lipschitz, const REAL* strengths, int n_epochs,
                                     REAL target, int max_active, REAL again, REAL* state) {
    REAL* change = (REAL*)shared_bytes;
    REAL full = state[1];
    int left = (int)state[2], done = 0;
    while (done < n_epochs) {
        bool active = left > 0;
        REAL indicator = 0;
        for (int t = 0; t < n_order; t++) {
            int b = order[t], size = starts[b + 1] - starts[b];
            const int* at = members + starts[b];
            REAL L = lipschitz[b], square = 0, moved = 0;
            bool zero = true;
            for (int a = 0; a < size; a++) {
                REAL old = w[at[a]], v = L > 0 ? old + q[at[a]] / L : old;
                square += v * v;
                zero = zero && old == 0;
            }
            if (active && zero) continue;
            if (!(L > 0)) {
                // Where nothing bends, the penalty itself is smallest at zero.
                if (zero || !(strengths[b] > 0)) continue;
                __syncthreads();
                OF_BLOCK(a, size) w[at[a]] = 0;
                __syncthreads();
                continue;
            }
            REAL norm = sqrt(square), threshold = strengths[b] / L;
            REAL share = norm > threshold ? 1 - threshold / norm : (REAL)0;
            for (int a = 0; a < size; a++) {
                REAL old = w[at[a]], d = share * (old + q[at[a]] / L) - old;
                moved += d * d;
            }
            if (moved == 0) continue;
            // All have read the block before it changes, and see the changes after.
            __syncthreads();
            OF_BLOCK(a, size) {
                int j = at[a];
                REAL next = share * (w[j] + q[j] / L);
                change[a] = next - w[j];
                w[j] = next;
            }
            __syncthreads();
            OF_BLOCK(c, p) {
                REAL sum = 0;
                for (int a = 0; a < size; a++) sum += change[a] * G[(long long)at[a] * p + c];
                q[c] -= sum;
            }
            REAL length = sqrt(moved) * sqrt(L);
            indicator = length > indicator ? length : indicator;
            __syncthreads();
        }
        done++;
        if (swept(active, indicator, target, max_active, again, &full, &left)) break;
    }
    keep(state, done, full, left);
}
