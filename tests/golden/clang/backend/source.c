int big(char *p)
{
	volatile char room[1024];
	room[*p] = 1;
	float f = *p;
	return f * 1.5 + room[3];
}
