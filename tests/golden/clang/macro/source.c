#include "own.h"
#define TWICE(x) (2 * x + missing)
int ünïcode = 1, y = TWICE(3);
