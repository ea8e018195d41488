// The extrapolation of an accelerated method on a CUDA device. REAL is float or double, set by whoever
// compiles this. The decision to restart is taken and used on the device.

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
    EACH(i, n) point[i] = w[i] + share * (w[i] - last[i]);
    if (blockIdx.x == 0 && threadIdx.x == 0) *after = next;
}
