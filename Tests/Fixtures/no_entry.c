/* Mistake: an ordinary library, not a handler. */
int answer_to_everything(void);
int answer_to_everything(void) { return 42; }
