; A BIOS of 64 KB that lets the speaker sound: 440 Hz for a second of the RTC, 1000 Hz for one, silence for one; then it
; ends the emulator (isa-debug-exit at 0x501, status 7).
; With -DFOREVER the first tone goes on.
cpu 386
bits 16
org 0

PIT_HZ equ 1193182

start:
    xor ax, ax
    mov ss, ax
    mov sp, 0x7C00
    call second
    mov bx, PIT_HZ / 440
    call tone
%ifdef FOREVER
    hlt
%endif
    call second
    mov bx, PIT_HZ / 1000
    call tone
    call second
    in al, 0x61
    and al, 0xFC
    out 0x61, al
    call second
    mov dx, 0x501
    mov al, 3
    out dx, al
    hlt

; Counter 2 counts from BX in mode 3, and is heard.
tone:
    mov al, 0xB6
    out 0x43, al
    mov al, bl
    out 0x42, al
    mov al, bh
    out 0x42, al
    in al, 0x61
    or al, 3
    out 0x61, al
    ret

; Waits until the RTC's second changes.
second:
    call read
    mov ah, al
.wait:
    call read
    cmp al, ah
    je .wait
    ret

read:
    mov al, 0
    out 0x70, al
    in al, 0x71
    ret

    times 0xFFF0 - ($ - $$) db 0xF4
    jmp 0xF000:start
    times 0x10000 - ($ - $$) db 0xF4
