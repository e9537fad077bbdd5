; A device writes into code by DMA (fw_cfg's interface): into the block that runs, before and behind the
; instruction that starts the transfer; into code that ran before, over a page border and through no mapping;
; into code that the next address space has elsewhere.
; no-bochs: has no fw_cfg
; no-qemu: TCG finishes the translated block first
%include "test.inc"

PORT_DMA  equ 0x514
SELECT    equ 8
READ      equ 2
SIGNATURE equ 0x554D4551        ; item 0: "QEMU"
CODE      equ 0x80000
V         equ 0x40000000
PT        equ 0x70000
PD1       equ 0x71000

; Item 0 to physical %1. The command is big-endian.
%macro DMA 1
    mov eax, %1
    bswap eax
    mov [abs command + 12], eax
    mov eax, command
    bswap eax
    mov edx, PORT_DMA + 4
    mov dword [abs command], (SELECT | READ) << 24
    mov dword [abs command + 4], 4 << 24
    out dx, eax
%endmacro

TEST64
    ; Behind the instruction that starts it, in the same block.
    DMA .behind + 1
.behind:
    mov eax, 0x11111111
    CHECK_EQ eax, SIGNATURE
    CHECK_EQ dword [abs command], 0              ; done, no error
    ; Before it: a loop whose second round finds it.
    mov ecx, 2
    mov ebp, 0
.again:
    mov ebx, 0x22222222
    add ebp, ebx
    DMA .again + 1
    dec ecx
    jnz .again
    CHECK_EQ ebp, (0x22222222 + SIGNATURE) & 0xFFFFFFFF
    ; A function that has run often, also over a page border, and by another linear address.
    mov qword [abs PDPT + 8], PD1 | 7
    mov edi, PT
    mov ecx, 0x2000 / 4
    xor eax, eax
    rep stosd
    mov qword [abs PD1], PT | 7
    mov qword [abs PT], CODE | 7
    mov rax, cr3
    mov cr3, rax
%assign offset 0x100
%rep 2
    mov edi, CODE + offset
    mov byte [rdi], 0xB8
    mov dword [rdi + 1], 5
    mov byte [rdi + 5], 0xC3
    mov ecx, 5000
.run%+offset:
    call rdi
    loop .run%+offset
    CHECK_EQ eax, 5
    DMA CODE + offset + 1
    mov edi, CODE + offset
    call rdi
    CHECK_EQ eax, SIGNATURE
%assign offset 0xFFD
%endrep
    mov edi, V + 0x100
    mov dword [abs CODE + 0x101], 6
    mov ecx, 5000
.mapped:
    call rdi
    loop .mapped
    CHECK_EQ eax, 6
    DMA CODE + 0x101
    mov edi, V + 0x100
    call rdi
    CHECK_EQ eax, SIGNATURE
    PASS

align 16
command: times 16 db 0
