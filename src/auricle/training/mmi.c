/* What all texts have of the frames, and its gradient: see mmi.py for what is asked of it, a clip at a time.

A state is the last two tokens that were said, and whether a blank came after them. Its arrays are [previous][last], each
row padded to a whole number of vectors with places that stay zero. As in ctc.c, probabilities are added and not their
logarithms, in double, each frame scaled to the sum one (Rabiner, 1989). Nothing is subtracted, so nothing cancels. */

#include <stdint.h>
#include <string.h>

#include "rows.h"

/* said: the number of tokens but for the blank. `said_next` [last][previous][next] is zero where next is last, and is
`said_before` [last][next][previous] turned round; `again` [last][previous] is what it leaves out; `ends` [previous][last]. */
struct model {
  long said, width;
  const double *said_next, *said_before, *again, *ends;
};

static void multiply(double *row, double factor, long size) {
  for (long place = 0; place < size; place++) row[place] *= factor;
}

/* out [width] = sum over rows of by[row * stride] * matrix[row][width] */
static void weighted(const double *by, long stride, const double *matrix, double *out, long rows, long width) {
  for (long place = 0; place < width; place += LANES) {
    vector even = {0}, odd = {0};
    long row = 0;
    for (; row + 1 < rows; row += 2) {
      even += by[row * stride] * *(const vector *)(matrix + row * width + place);
      odd += by[(row + 1) * stride] * *(const vector *)(matrix + (row + 1) * width + place);
    }
    if (row < rows) even += by[row * stride] * *(const vector *)(matrix + row * width + place);
    *(vector *)(out + place) = even + odd;
  }
}

/* From one frame to the next. spoken and blank: what is there before it; prob: of the blank, and then [width]. */
static void forth(const struct model *m, const double *spoken, const double *blank, const double *prob,
                  double *spoken_next, double *blank_next, double *both) {
  const long said = m->said, width = m->width;
  for (long i = 0; i < said * width; i++) both[i] = spoken[i] + blank[i];
  for (long last = 0; last < said; last++) {
    double *next = spoken_next + last * width;
    weighted(both + last, width, m->said_next + last * said * width, next, said, width);
    double repeated = 0; /* only with a blank between */
    for (long previous = 0; previous < said; previous++)
      repeated += blank[previous * width + last] * m->again[last * width + previous];
    next[last] += repeated;
    for (long i = 0; i < width; i++) next[i] = prob[1 + i] * (next[i] + spoken[last * width + i]);
  }
  for (long i = 0; i < said * width; i++) blank_next[i] = prob[0] * both[i];
}

/* From behind a frame to before it, in place: what can follow states. `came` is room [said][width], `column` [width]. */
static void back(const struct model *m, double *spoken, double *blank, const double *prob, double *came,
                 double *column) {
  const long said = m->said, width = m->width;
  for (long last = 0; last < said; last++)
    for (long i = 0; i < width; i++) came[last * width + i] = prob[1 + i] * spoken[last * width + i];
  for (long last = 0; last < said; last++) {
    const double *from = came + last * width;
    weighted(from, 1, m->said_before + last * said * width, column, said, width);
    for (long previous = 0; previous < said; previous++) {
      const long at = previous * width + last;
      const double stays = prob[0] * blank[at];
      spoken[at] = column[previous] + came[at] + stays;
      blank[at] = column[previous] + m->again[last * width + previous] * from[last] + stays;
    }
  }
}

/* The gradient [1 + said] of a frame: the part of all paths that is at each token there. */
static void give_gradient(const struct model *m, const double *spoken, const double *blank, const double *spoken_back,
                          const double *blank_back, double *by_token, float *grad) {
  const long said = m->said, width = m->width;
  double blanks = 0;
  memset(by_token, 0, width * sizeof(double));
  for (long previous = 0; previous < said; previous++)
    for (long last = 0; last < width; last++)
      by_token[last] += spoken[previous * width + last] * spoken_back[previous * width + last];
  for (long i = 0; i < said * width; i++) blanks += blank[i] * blank_back[i];
  const double all = blanks + sum_of(by_token, width);
  if (!(all > 0)) return;
  grad[0] = blanks / all;
  for (long last = 0; last < said; last++) grad[1 + last] = by_token[last] / all;
}

/* Numbers of 8 bytes that `denominator` needs beside what it gives. */
long denominator_space(long frames, long said) {
  return 2 * (frames + 3) * said * padded(said) + 3 * padded(said) + 1;
}

/* probs [B, T, 1 + said]; frames [B]; the model's four arrays. Gives the scales of the frames and of the end [B, T + 1]
and grad [B, T, 1 + said], which begin at zero; a scale that stays zero says that nothing was left. */
void denominator(const double *probs, const int64_t *frames, const double *said_next, const double *said_before,
                 const double *again, const double *ends, double *scales, float *grad, double *space, long batch,
                 long longest, long said) {
  const long width = padded(said), states = said * width, tokens = said + 1;
  const struct model m = {said, width, said_next, said_before, again, ends};
  double *spoken = space, *blank = spoken + (longest + 1) * states; /* before the first frame, and at each */
  double *spoken_back = blank + (longest + 1) * states, *blank_back = spoken_back + states;
  double *room = blank_back + states, *column = room + states, *by_token = column + width, *prob = by_token + width;
  memset(prob, 0, (1 + width) * sizeof(double));
  for (long clip = 0; clip < batch; clip++) {
    const double *own = probs + clip * longest * tokens;
    double *scale = scales + clip * (longest + 1);
    const long count = frames[clip];
    memset(spoken, 0, states * sizeof(double));
    memset(blank, 0, states * sizeof(double));
    blank[0] = 1; /* two ends of words */
    long frame = 0;
    for (; frame < count; frame++) {
      double *spoken_next = spoken + (frame + 1) * states, *blank_next = blank + (frame + 1) * states;
      memcpy(prob, own + frame * tokens, tokens * sizeof(double));
      forth(&m, spoken + frame * states, blank + frame * states, prob, spoken_next, blank_next, room);
      scale[frame] = sum_of(spoken_next, states) + sum_of(blank_next, states);
      if (!(scale[frame] > 0)) break;
      multiply(spoken_next, 1 / scale[frame], states);
      multiply(blank_next, 1 / scale[frame], states);
    }
    if (frame < count) continue;
    double end = 0;
    for (long i = 0; i < states; i++) end += (spoken[count * states + i] + blank[count * states + i]) * ends[i];
    scale[count] = end;
    memcpy(spoken_back, ends, states * sizeof(double));
    memcpy(blank_back, ends, states * sizeof(double));
    for (frame = count - 1; frame >= 0; frame--) {
      float *at = grad + (clip * longest + frame) * tokens;
      give_gradient(&m, spoken + (frame + 1) * states, blank + (frame + 1) * states, spoken_back, blank_back, by_token,
                    at);
      memcpy(prob, own + frame * tokens, tokens * sizeof(double));
      back(&m, spoken_back, blank_back, prob, room, column);
      const double size = sum_of(spoken_back, states) + sum_of(blank_back, states);
      multiply(spoken_back, 1 / size, states);
      multiply(blank_back, 1 / size, states);
    }
  }
}
