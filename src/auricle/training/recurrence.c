/* The recurrence of a GRU layer and its gradient, one direction at a time: see gru.py for the equations.

Each step is one small product, of a batch of states with weights that stay in the second cache, and some arithmetic on
what comes out. As tensor operations, the calls cost more than the arithmetic, and the product is too small for a
library to be at its best. Here both stand in one loop. Compiled by compiled.py where there is a compiler, with
PRODUCTS_BFLOAT16 for products in bfloat16 (AVX512-BF16) and without it for float32; all sums are float32 in both.

Layouts: T steps, B clips, H units (even), gates in the order r, z, n. Weights are packed by `pack` to panels of PANEL
columns, [columns / PANEL][depth / DEEP][PANEL][DEEP], so that the product reads them once and in order. */

#include <stdint.h>
#include <string.h>

#define LANES 16
#define PANEL 64
#define ROWS 6 /* 6 x 4 sums, 4 weights and a state fill 29 of the 32 registers */

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#ifdef PRODUCTS_BFLOAT16
#include <immintrin.h>
typedef uint16_t number;
#define DEEP 2

static inline number narrow(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16; /* to the nearest, ties to even */
}

static inline float wide(number x) {
  uint32_t bits = (uint32_t)x << 16;
  float y;
  memcpy(&y, &bits, 4);
  return y;
}

static inline vector add_product(vector sum, const number *state, const number *weights) {
  int32_t pair;
  memcpy(&pair, state, 4);
  return (vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair),
                                  (__m512bh)_mm512_loadu_si512(weights));
}
#else
typedef float number;
#define DEEP 1
static inline number narrow(float x) { return x; }
static inline float wide(number x) { return x; }

static inline vector add_product(vector sum, const number *state, const number *weights) {
  return sum + *state * *(const vector *)weights;
}
#endif

static long panels(long columns) { return (columns + PANEL - 1) / PANEL; }

/* Pack a row-major matrix; columns that fill the last panel are zero. */
void pack(const number *matrix, number *packed, long depth, long columns) {
  for (long panel = 0; panel < panels(columns); panel++)
    for (long k = 0; k < depth; k += DEEP)
      for (long column = panel * PANEL; column < (panel + 1) * PANEL; column++)
        for (long deep = 0; deep < DEEP; deep++)
          *packed++ = column < columns ? matrix[(k + deep) * columns + column] : 0;
}

static inline __attribute__((always_inline)) void rows_by_panel(
    int rows, const number *left, const number *weights, float *out, long depth, long width) {
  vector sums[ROWS][PANEL / LANES];
  for (int row = 0; row < rows; row++)
    for (int lane = 0; lane < PANEL / LANES; lane++) sums[row][lane] = (vector){0};
  for (long k = 0; k < depth; k += DEEP, weights += PANEL * DEEP)
    for (int row = 0; row < rows; row++)
      for (int lane = 0; lane < PANEL / LANES; lane++)
        sums[row][lane] = add_product(sums[row][lane], left + row * depth + k, weights + lane * LANES * DEEP);
  for (int row = 0; row < rows; row++)
    for (int lane = 0; lane < PANEL / LANES; lane++)
      *(vector *)(out + row * width + lane * LANES) = sums[row][lane];
}

/* out [rows, panels * PANEL] = left [rows, depth] x packed. The number of rows is a constant in each branch: the sums
then live in registers. */
static void multiply(const number *left, const number *packed, float *out, long rows, long depth, long columns) {
  const long width = panels(columns) * PANEL;
  for (long panel = 0; panel < panels(columns); panel++, packed += PANEL * depth)
    for (long row = 0; row < rows; row += ROWS) {
      const number *a = left + row * depth;
      float *c = out + row * width + panel * PANEL;
      switch (rows - row) {
        case 1: rows_by_panel(1, a, packed, c, depth, width); break;
        case 2: rows_by_panel(2, a, packed, c, depth, width); break;
        case 3: rows_by_panel(3, a, packed, c, depth, width); break;
        case 4: rows_by_panel(4, a, packed, c, depth, width); break;
        case 5: rows_by_panel(5, a, packed, c, depth, width); break;
        default: rows_by_panel(6, a, packed, c, depth, width);
      }
    }
}

/* e to the x for x in [-87, 87], to the last bit or two: a power of two, and a polynomial for the rest (Cody & Waite,
1980). Compilers make vectors of it; a NaN stays one. */
static inline float exponential(float x) {
  const float bounded = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
  const float whole = bounded * 1.44269504f + 12582912.0f; /* 1.5 x 2^23: the sum has no room for a fraction */
  const float twos = whole - 12582912.0f;
  const float rest = (bounded - twos * 0.693359375f) + twos * 2.12194440e-4f;
  float power;
  int32_t bits;
  memcpy(&bits, &whole, 4);
  bits = (int32_t)((uint32_t)bits << 23) + (127 << 23);
  memcpy(&power, &bits, 4);
  float sum = 1.9875691500e-4f;
  sum = sum * rest + 1.3981999507e-3f;
  sum = sum * rest + 8.3334519073e-3f;
  sum = sum * rest + 4.1665795894e-2f;
  sum = sum * rest + 1.6666665459e-1f;
  sum = sum * rest + 5.0000001201e-1f;
  return (sum * rest * rest + rest + 1.0f) * power;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

static inline float hyperbolic_tangent(float x) { return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f); }

/* gates [T, B, 3H]: W_ih x; biases [4H]: those of r, z, of n's input and of n's state; product: packed [H, 3H].
states [T + 1, B, H], of which the first is given, and the same in `narrowed`; saved [T, B, 4H]: r, z, n and
W_hn h + b_hn. `space` holds B * (packed width of 3H) floats. */
void recur(const number *gates, const float *biases, const number *product, float *states, number *narrowed,
           float *saved, float *space, long steps, long batch, long hidden) {
  const long width = panels(3 * hidden) * PANEL, rows = batch * hidden;
  const float *bias_r = biases, *bias_z = biases + hidden, *bias_n = biases + 2 * hidden;
  const float *bias_state = biases + 3 * hidden;
  for (long step = 0; step < steps; step++) {
    multiply(narrowed + step * rows, product, space, batch, hidden, 3 * hidden);
    for (long clip = 0; clip < batch; clip++) {
      const number *gate = gates + (step * batch + clip) * 3 * hidden;
      const float *recurrent = space + clip * width;
      const float *before = states + step * rows + clip * hidden;
      float *after = states + (step + 1) * rows + clip * hidden;
      number *narrow_after = narrowed + (step + 1) * rows + clip * hidden;
      float *keep = saved + (step * batch + clip) * 4 * hidden;
#pragma GCC ivdep
      for (long unit = 0; unit < hidden; unit++) {
        const float r = sigmoid(wide(gate[unit]) + bias_r[unit] + recurrent[unit]);
        const float z = sigmoid(wide(gate[hidden + unit]) + bias_z[unit] + recurrent[hidden + unit]);
        const float from_state = recurrent[2 * hidden + unit] + bias_state[unit];
        const float n = hyperbolic_tangent(wide(gate[2 * hidden + unit]) + bias_n[unit] + r * from_state);
        const float state = n + z * (before[unit] - n);
        keep[unit] = r;
        keep[hidden + unit] = z;
        keep[2 * hidden + unit] = n;
        keep[3 * hidden + unit] = from_state;
        after[unit] = state;
        narrow_after[unit] = narrow(state);
      }
    }
  }
}

/* grad [T, B, H] of the states that came out; product: packed [3H, H]. Gradients of what the gates take: `recurrent`
[T, B, 3H] of W_hh h + b_hh, `inputs` [T, B, 3H] of W_ih x + b_ih, and their sums over steps and clips in `biases` [4H]
(r, z, n's input, n's state), which begins at zero. `space` holds B * (H + packed width of H) floats, all zero. */
void recur_backward(const float *grad, const number *product, const float *states, const float *saved,
                    number *recurrent, number *inputs, float *biases, float *space, long steps, long batch,
                    long hidden) {
  const long width = panels(hidden) * PANEL, rows = batch * hidden;
  float *kept = space, *carried = space + rows;
  for (long step = steps - 1; step >= 0; step--) {
    for (long clip = 0; clip < batch; clip++) {
      const long at = step * batch + clip;
      const float *out = grad + at * hidden;
      const float *back = carried + clip * width;
      const float *before = states + at * hidden;
      const float *keep = saved + at * 4 * hidden;
      number *by_state = recurrent + at * 3 * hidden;
      number *by_input = inputs + at * 3 * hidden;
      float *through = kept + clip * hidden;
      float *sums = biases;
#pragma GCC ivdep
      for (long unit = 0; unit < hidden; unit++) {
        const float r = keep[unit], z = keep[hidden + unit], n = keep[2 * hidden + unit];
        const float total = out[unit] + back[unit] + through[unit];
        const float for_n = total * (1.0f - z) * (1.0f - n * n);
        const float for_state = for_n * r;
        const float for_r = for_n * keep[3 * hidden + unit] * r * (1.0f - r);
        const float for_z = total * (before[unit] - n) * z * (1.0f - z);
        through[unit] = total * z;
        by_state[unit] = by_input[unit] = narrow(for_r);
        by_state[hidden + unit] = by_input[hidden + unit] = narrow(for_z);
        by_state[2 * hidden + unit] = narrow(for_state);
        by_input[2 * hidden + unit] = narrow(for_n);
        sums[unit] += for_r;
        sums[hidden + unit] += for_z;
        sums[2 * hidden + unit] += for_n;
        sums[3 * hidden + unit] += for_state;
      }
    }
    multiply(recurrent + step * batch * 3 * hidden, product, carried, batch, 3 * hidden, hidden);
  }
}
