// smallest static executable, for exec benchmarks: exit(7)
#if defined(__i386__)
void _start(void)
{
    __asm__ volatile("mov $1,%eax; mov $7,%ebx; int $0x80");
}
#else
void _start(void)
{
    __asm__ volatile("mov $60,%eax; mov $7,%edi; syscall");
}
#endif
