; A multiboot kernel of SIZE bytes that loads to LOAD: checks what the loader hands over and says so over the serial line.

%ifndef LOAD
%define LOAD 0x8000
%endif
%ifndef SIZE
%define SIZE 0x1000
%endif

    bits 32
    org LOAD

MAGIC equ 0x1badb002
FLAGS equ 0x10003

image:
    dd MAGIC, FLAGS, -(MAGIC + FLAGS)
    dd image, image, image + SIZE, image + SIZE + 0x100, start

start:
    mov esp, bss + 0x100
    mov esi, no_magic
    cmp eax, 0x2badb002
    jne say
    mov esi, damaged     ; the image is as it was: what lies between is 5a
    mov edi, filler
.check:
    cmp byte [edi], 0x5a
    jne say
    inc edi
    cmp edi, image + SIZE
    jb .check
    mov esi, no_bss
    mov edi, bss
.check_bss:
    cmp byte [edi], 0
    jne say
    inc edi
    cmp edi, bss + 0x80  ; the stack is above
    jb .check_bss

    mov esi, no_flags
    mov eax, [ebx]
    and eax, 0x45        ; memory sizes, command line, map
    cmp eax, 0x45
    jne say
    mov esi, no_sizes
    cmp dword [ebx + 4], 600
    jb say
    cmp dword [ebx + 8], 60 << 10
    jb say
    mov esi, no_cmdline
    mov edi, [ebx + 16]
.end_of_cmdline:
    inc edi
    cmp byte [edi], 0
    jne .end_of_cmdline
    cmp dword [edi - 4], 'one2'
    jne say

    ; the map has RAM at 1 MB
    mov esi, no_map
    mov edi, [ebx + 48]
    mov ecx, [ebx + 44]
    add ecx, edi
.entry:
    cmp edi, ecx
    jae say
    mov eax, [edi]
    cmp dword [edi + 4], 0x100000
    jne .next
    cmp dword [edi + 20], 1
    je .found
.next:
    lea edi, [edi + eax + 4]
    jmp .entry
.found:
    mov esi, pass

say:
    mov dx, 0x3fd
    in al, dx
    test al, 0x20
    jz say
    mov dx, 0x3f8
    lodsb
    out dx, al
    test al, al
    jnz say
    cli
    hlt

no_magic:   db 'MULTIBOOT: no magic number in eax', 10, 0
damaged:    db 'MULTIBOOT: the image was overwritten', 10, 0
no_bss:     db 'MULTIBOOT: BSS is not zero', 10, 0
no_flags:   db 'MULTIBOOT: missing flags', 10, 0
no_sizes:   db 'MULTIBOOT: wrong memory sizes', 10, 0
no_cmdline: db 'MULTIBOOT: wrong command line', 10, 0
no_map:     db 'MULTIBOOT: no RAM at 1 MB in the map', 10, 0
pass:       db 'MULTIBOOT: PASS', 10, 0
filler:
    times SIZE - ($ - $$) db 0x5a
bss equ image + SIZE
