/* vigied: starts the service and waits for its end. */
int main(void){return 0;}
