; A BIOS of 64 KB that writes 400,000 times 'x' to COM1 and ends the emulator with status 7 (isa-debug-exit).
cpu 386
bits 16
org 0
start:
    mov ecx, 400000
.l:
    mov dx, 0x3FD
    in al, dx
    test al, 0x20
    jz .l
    mov dx, 0x3F8
    mov al, 'x'
    out dx, al
    dec ecx
    jnz .l
    mov dx, 0x501
    mov al, 3
    out dx, al
    hlt
    times 0xFFF0 - ($ - $$) db 0xF4
    jmp 0xF000:start
    times 0x10000 - ($ - $$) db 0xF4
