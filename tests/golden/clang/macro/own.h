static int f(void) { return nowhere; }
