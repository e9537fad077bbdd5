; A BIOS of 64 KB that prints "READY" on COM1 and then sends back what it receives there. 'Q' ends the emulator
; through isa-debug-exit (port 0x501, status 7).
cpu 386
bits 16
org 0

start:
    xor ax, ax
    mov ss, ax
    mov sp, 0x7C00
    mov dx, 0x3FB
    mov al, 3
    out dx, al
    mov si, ready
.next:
    cs lodsb
    test al, al
    jz echo
    call send
    jmp .next

echo:
    mov dx, 0x3FD
    in al, dx
    test al, 1
    jz echo
    mov dx, 0x3F8
    in al, dx
    cmp al, 'Q'
    je quit
    call send
    jmp echo

send:
    mov ah, al
.wait:
    mov dx, 0x3FD
    in al, dx
    test al, 0x20
    jz .wait
    mov dx, 0x3F8
    mov al, ah
    out dx, al
    ret

quit:
    mov dx, 0x501
    mov al, 3
    out dx, al
    hlt

ready: db "READY", 13, 10, 0

    times 0xFFF0 - ($ - $$) db 0xF4
    jmp 0xF000:start
    times 0x10000 - ($ - $$) db 0xF4
