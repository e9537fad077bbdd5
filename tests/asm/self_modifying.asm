; Self-modifying code is visible at the next instruction: stores into the running block before and behind the
; store, over a page border, through another mapping, by string instructions; code pages whose mapping
; changes (INVLPG, CR3); instructions that cross into a page that is remapped or missing; data beside code.
%include "test.inc"

PT       equ 0x70000            ; maps 40000000..401FFFFF in 4 KB pages
PD1      equ 0x71000
PML4B    equ 0x72000            ; a second address space that differs in the window only
PDPTB    equ 0x73000
PD1B     equ 0x74000
PTB      equ 0x75000
V        equ 0x40000000
CODE_A   equ 0x80000            ; physical pages with code
CODE_B   equ 0x81000
CODE_C   equ 0x90000

%macro ENTRY 3                  ; page table, 4 KB page number in the window, entry
    mov qword [abs %1 + (%2) * 8], %3
%endmacro
%macro FUNCTION 2               ; at %1: mov eax, %2; ret
    mov byte [abs %1], 0xB8
    mov dword [abs %1 + 1], %2
    mov byte [abs %1 + 5], 0xC3
%endmacro
%macro CALL_EQ 2                ; the function at %1 returns %2
    mov rbx, %1
    call rbx
    CHECK_EQ eax, %2
%endmacro

TEST64
    mov edi, PT
    mov ecx, 0x6000 / 4
    xor eax, eax
    rep stosd
    ; The next instruction.
    mov byte [abs .next + 1], 0x22
.next:
    mov al, 0x11
    CHECK_EQ al, 0x22
    ; One that comes later in the block, by each size.
    mov dword [abs .later + 1], 0x12345678
    nop
    nop
.later:
    mov eax, 0
    CHECK_EQ eax, 0x12345678
    ; The opcode of the next instruction, and its length: five bytes become nops.
    mov eax, 0x90909090
    mov [abs .opcode], eax
    mov [abs .opcode + 1], eax
.opcode:
    mov eax, 7
    CHECK_EQ eax, 0x90909090
    ; An instruction before the store, in a loop: it counts up its own immediate.
    mov ecx, 100
.loop:
    mov edx, 0
    inc dword [abs .loop + 1]
    dec ecx
    jnz .loop
    CHECK_EQ edx, 99
    ; Data in the same line as the code that counts it up.
    mov ecx, 10000
    jmp .beside
.counter: dd 0
.beside:
    inc dword [abs .counter]
    dec ecx
    jnz .beside
    CHECK_EQ dword [abs .counter], 10000
    ; String instructions write the code behind them.
    mov edi, .stos
    mov ecx, 5
    mov al, 0x90
    rep stosb
.stos:
    mov eax, 0x11111111
    CHECK_EQ al, 0x90
    mov esi, .model
    mov edi, .movs
    mov ecx, 5
    rep movsb
.movs:
    mov eax, 0x11111111
    CHECK_EQ eax, 0x22222222
    jmp .after_model
.model:
    mov eax, 0x22222222
.after_model:
    ; A store that crosses a page border into the code of the next page.
    FUNCTION CODE_B, 1
    CALL_EQ CODE_B, 1
    mov dword [abs CODE_B - 2], 0x02B89090       ; 90 90 | B8 02
    CALL_EQ CODE_B, 2
    ; An instruction over the border: each half changes.
    FUNCTION CODE_B - 3, 0x04030201
    CALL_EQ CODE_B - 3, 0x04030201
    mov byte [abs CODE_B - 1], 0x55
    CALL_EQ CODE_B - 3, 0x04035501
    mov byte [abs CODE_B + 1], 0x66
    CALL_EQ CODE_B - 3, 0x66035501

    ; The window: page 0 -> CODE_A, 1 -> CODE_B; the second address space has CODE_C as page 0.
    mov qword [abs PDPT + 8], PD1 | 7
    mov qword [abs PD1], PT | 7
    ENTRY PT, 0, CODE_A | 7
    ENTRY PT, 1, CODE_B | 7
    mov rax, [abs PML4]
    mov edx, PML4B
    mov rax, [abs PDPT]
    mov [abs PDPTB], rax
    mov qword [abs PML4B], PDPTB | 7
    mov qword [abs PDPTB + 8], PD1B | 7
    mov qword [abs PD1B], PTB | 7
    ENTRY PTB, 0, CODE_C | 7
    ENTRY PTB, 1, CODE_B | 7
    mov rax, cr3
    mov cr3, rax
    ; Written through another mapping.
    FUNCTION CODE_A, 10
    CALL_EQ V, 10
    mov byte [abs CODE_A + 1], 11
    CALL_EQ V, 11
    mov rbx, V
    mov byte [rbx + 1], 12
    CALL_EQ CODE_A, 12
    CALL_EQ V, 12
    ; The mapping changes: INVLPG, then CR3, to and fro.
    FUNCTION CODE_C, 20
    ENTRY PT, 0, CODE_C | 7
    invlpg [abs V]
    CALL_EQ V, 20
    ENTRY PT, 0, CODE_A | 7
    invlpg [abs V]
    CALL_EQ V, 12
    mov rsi, cr3
    mov edi, PML4B
    mov ebp, 50
.switch:
    mov cr3, rdi
    CALL_EQ V, 20
    mov cr3, rsi
    CALL_EQ V, 12
    dec ebp
    jnz .switch
    ; Code that is rewritten while the other address space is on.
    mov cr3, rdi
    mov byte [abs CODE_A + 1], 13
    mov cr3, rsi
    CALL_EQ V, 13

    ; An instruction over the border of the window's pages, the second one remapped.
    FUNCTION CODE_A + 0xFFD, 0x04030201          ; 3 bytes in CODE_A, 3 in CODE_B
    CALL_EQ V + 0xFFD, 0x04030201
    mov dword [abs CODE_C + 0x1000], 0x00C3BBAA  ; page CODE_C + 1000 in CODE_B's place
    ENTRY PT, 1, (CODE_C + 0x1000) | 7
    invlpg [abs V + 0x1000]
    CALL_EQ V + 0xFFD, 0xBBAA0201
    ; And missing: #PF at the instruction, CR2 in the second page.
    ENTRY PT, 1, 0
    invlpg [abs V + 0x1000]
    RESUME_AT .missing
    mov rbx, V + 0xFFD
    jmp rbx
.missing:
    CHECK_EXC 14, 0
    CHECK_EQ64 qword [abs exc_cr2], V + 0x1000
    CHECK_EQ64 qword [abs exc_ip], V + 0xFFD
    ENTRY PT, 1, CODE_B | 7
    invlpg [abs V + 0x1000]
    CALL_EQ V + 0xFFD, 0x04030201
    PASS
