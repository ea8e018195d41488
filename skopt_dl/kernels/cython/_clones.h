/* Functions of which the loader takes the version for the processor at hand. */
#ifndef SKOPT_DL_CLONES_H
#define SKOPT_DL_CLONES_H

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) \
    && defined(__gnu_linux__)
#define CLONES static __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES static
#endif
/* A part of such functions, in each of their versions: on its own it would have the plainest one. */
#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif
#ifdef _MSC_VER
#define restrict __restrict
#endif

#endif
