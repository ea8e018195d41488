// Kernels on the observed entries of a matrix, on a CUDA device. REAL is float or double, set by
// whoever compiles this. A block works on one row; every sum has one order, so results repeat.

#define TILE 16

// One inner product per entry: out[e] = L[rows[e]] . R[cols[e]].
extern "C" __global__ void entry_products(long long q, int k, const int* rows, const int* cols,
                                          const REAL* L, const REAL* R, REAL* out) {
    EACH(e, q) {
        const REAL* a = L + (long long)rows[e] * k;
        const REAL* b = R + (long long)cols[e] * k;
        REAL sum = 0;
        for (int c = 0; c < k; c++) sum += a[c] * b[c];
        out[e] = sum;
    }
}

// out[i] = sum of A[order[l]] over starts[i] <= l < starts[i + 1], a thread for each column.
extern "C" __global__ void segment_sum(long long m, int k, const long long* starts,
                                       const long long* order, const REAL* A, REAL* out) {
    EACH(e, m * k) {
        long long i = e / k;
        int c = (int)(e % k);
        REAL sum = 0;
        for (long long l = starts[i]; l < starts[i + 1]; l++) sum += A[order[l] * k + c];
        out[e] = sum;
    }
}

// Lower triangle of G = sum_j w_j f_j f_j' and, where there are targets, b = sum_j t_j f_j, of the
// entries first <= e < last; total = sum_j w_j. All in shared memory; ends with a barrier.
__device__ void assemble(int first, int last, int k, const int* cols, const REAL* weights,
                         const REAL* targets, const REAL* F, REAL* G, REAL* b, REAL* tile,
                         REAL* w, REAL* t, REAL* total) {
    for (int e = threadIdx.x; e < k * k; e += blockDim.x) G[e] = 0;
    for (int e = threadIdx.x; e < k; e += blockDim.x) b[e] = 0;
    if (threadIdx.x == 0) *total = 0;
    for (int start = first; start < last; start += TILE) {
        int count = last - start < TILE ? last - start : TILE;
        __syncthreads();
        for (int e = threadIdx.x; e < count * k; e += blockDim.x)
            tile[e] = F[(long long)cols[start + e / k] * k + e % k];
        for (int e = threadIdx.x; e < count; e += blockDim.x) {
            w[e] = weights[start + e];
            t[e] = targets ? targets[start + e] : 0;
        }
        __syncthreads();
        for (int e = threadIdx.x; e < k * k; e += blockDim.x) {
            int r = e / k, c = e % k;
            if (c > r) continue;
            REAL sum = 0;
            for (int j = 0; j < count; j++) sum += w[j] * tile[j * k + r] * tile[j * k + c];
            G[e] += sum;
        }
        for (int e = threadIdx.x; e < k; e += blockDim.x) {
            REAL sum = 0;
            for (int j = 0; j < count; j++) sum += t[j] * tile[j * k + e];
            b[e] += sum;
        }
        if (threadIdx.x == 0)
            for (int j = 0; j < count; j++) *total += w[j];
    }
    __syncthreads();
}

// The ridge regression of one row a block. ridge has `ridges` columns, 1 or k; extra may be null.
extern "C" __global__ void ridge_rows(int k, const int* ptr, const int* cols, const REAL* weights,
                                      const REAL* targets, const REAL* F, const REAL* ridge,
                                      int ridges, const REAL* extra, REAL least, REAL* out) {
    REAL* G = (REAL*)shared_bytes;
    REAL* b = G + k * k;
    REAL* tile = b + k;
    REAL* w = tile + TILE * k;
    REAL* t = w + TILE;
    REAL* total = t + TILE;
    REAL* trace = total + 1;
    long long i = blockIdx.x;
    assemble(ptr[i], ptr[i + 1], k, cols, weights, targets, F, G, b, tile, w, t, total);
    if (threadIdx.x == 0) {
        *trace = 0;
        for (int e = 0; e < k; e++) *trace += G[e * k + e];
    }
    __syncthreads();
    for (int e = threadIdx.x; e < k; e += blockDim.x) {
        REAL shift = ridge[ridges == 1 ? i : i * k + e];
        REAL floor = least * *trace;
        shift = shift > floor ? shift : floor;
        G[e * k + e] += shift > 0 ? shift : (REAL)1;
        if (extra && *total > 0) b[e] += extra[i * k + e];
    }
    __syncthreads();
    // Cholesky's factor, column by column, and the two triangular systems.
    for (int j = 0; j < k; j++) {
        if (threadIdx.x == 0) G[j * k + j] = sqrt(G[j * k + j]);
        __syncthreads();
        for (int r = j + 1 + threadIdx.x; r < k; r += blockDim.x) G[r * k + j] /= G[j * k + j];
        __syncthreads();
        int rest = k - j - 1;
        for (int e = threadIdx.x; e < rest * rest; e += blockDim.x) {
            int r = j + 1 + e / rest, c = j + 1 + e % rest;
            if (c <= r) G[r * k + c] -= G[r * k + j] * G[c * k + j];
        }
        __syncthreads();
    }
    for (int j = 0; j < k; j++) {
        if (threadIdx.x == 0) b[j] /= G[j * k + j];
        __syncthreads();
        for (int r = j + 1 + threadIdx.x; r < k; r += blockDim.x) b[r] -= G[r * k + j] * b[j];
        __syncthreads();
    }
    for (int j = k - 1; j >= 0; j--) {
        if (threadIdx.x == 0) b[j] /= G[j * k + j];
        __syncthreads();
        for (int r = threadIdx.x; r < j; r += blockDim.x) b[r] -= G[j * k + r] * b[j];
        __syncthreads();
    }
    for (int e = threadIdx.x; e < k; e += blockDim.x) out[i * k + e] = b[e];
}

// The matrices of ridge_rows, both triangles.
extern "C" __global__ void gram_rows(int k, const int* ptr, const int* cols, const REAL* weights,
                                     const REAL* F, REAL* out) {
    REAL* G = (REAL*)shared_bytes;
    REAL* b = G + k * k;
    REAL* tile = b + k;
    REAL* w = tile + TILE * k;
    REAL* t = w + TILE;
    long long i = blockIdx.x;
    assemble(ptr[i], ptr[i + 1], k, cols, weights, 0, F, G, b, tile, w, t, t + TILE);
    for (int e = threadIdx.x; e < k * k; e += blockDim.x) {
        int r = e / k, c = e % k;
        out[i * k * k + e] = c <= r ? G[e] : G[c * k + r];
    }
}

// out[i] = sum_j W_ij (a_i . b_j) f_j, a block for each row; r columns of A and B, k of F.
extern "C" __global__ void masked_product(int r, int k, const int* ptr, const int* cols,
                                          const REAL* weights, const REAL* A, const REAL* B,
                                          const REAL* F, REAL* out) {
    REAL* s = (REAL*)shared_bytes;
    REAL* y = s + blockDim.x;
    long long i = blockIdx.x;
    for (int e = threadIdx.x; e < k; e += blockDim.x) y[e] = 0;
    for (int start = ptr[i]; start < ptr[i + 1]; start += blockDim.x) {
        int left = ptr[i + 1] - start;
        int count = left < (int)blockDim.x ? left : (int)blockDim.x;
        if ((int)threadIdx.x < count) {
            const REAL* b = B + (long long)cols[start + threadIdx.x] * r;
            REAL sum = 0;
            for (int c = 0; c < r; c++) sum += A[i * r + c] * b[c];
            s[threadIdx.x] = weights[start + threadIdx.x] * sum;
        }
        __syncthreads();
        for (int e = threadIdx.x; e < k; e += blockDim.x) {
            REAL sum = 0;
            for (int j = 0; j < count; j++) sum += s[j] * F[(long long)cols[start + j] * k + e];
            y[e] += sum;
        }
        __syncthreads();
    }
    for (int e = threadIdx.x; e < k; e += blockDim.x) out[i * k + e] = y[e];
}
