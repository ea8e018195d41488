// What the sources of this folder begin with. REAL is float or double, set by whoever compiles them.

// The numbers below n, dealt out to all threads of a launch.
#define EACH(i, n) \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
         i += (long long)gridDim.x * blockDim.x)

// Shared memory of the size that a launch asks for.
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
