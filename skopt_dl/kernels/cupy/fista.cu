// The extrapolation of an accelerated method on a CUDA device. REAL is float or double, set by whoever
// compiles this. The decision to restart is taken and used on the device.

extern __shared__ unsigned char shared_bytes[];

// The sum over a block's threads, known to all of them; a power of two of threads.
__device__ REAL block_sum(REAL x) {
    REAL* partial = (REAL*)shared_bytes;
    __syncthreads();
    partial[threadIdx.x] = x;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
    return partial[0];
}

// (z - w)'(w - last) as the sum of `parts` numbers, each of which has one order.
extern "C" __global__ void fista_slope(long long n, int parts, const REAL* w, const REAL* last,
                                       const REAL* z, REAL* part) {
    for (int b = blockIdx.x; b < parts; b += gridDim.x) {
        REAL sum = 0;
        for (long long i = (long long)b * blockDim.x + threadIdx.x; i < n;
             i += (long long)parts * blockDim.x)
            sum += (z[i] - w[i]) * (w[i] - last[i]);
        sum = block_sum(sum);
        if (threadIdx.x == 0) part[b] = sum;
    }
}

// The next point, and the counter t before and after. Without parts nothing restarts. Every block
// adds the parts for itself, in one order, so all take the same decision.
extern "C" __global__ void fista_update(long long n, int parts, const REAL* part, const REAL* w,
                                        const REAL* last, const REAL* t, REAL* point, REAL* after) {
    REAL slope = 0;
    for (int b = threadIdx.x; b < parts; b += blockDim.x) slope += part[b];
    slope = block_sum(slope);
    REAL now = slope > 0 ? (REAL)1 : *t, next = (1 + sqrt(1 + 4 * now * now)) / 2;
    REAL share = (now - 1) / next;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n;
         i += (long long)gridDim.x * blockDim.x)
        point[i] = w[i] + share * (w[i] - last[i]);
    if (blockIdx.x == 0 && threadIdx.x == 0) *after = next;
}
