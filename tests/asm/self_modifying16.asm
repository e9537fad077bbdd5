; Self-modifying code in real mode: the next instruction, its opcode, its length, a loop that counts in its own
; immediate, string instructions; written through another segment, and through the megabyte's wrap with A20 off;
; code on the border of two pages and at the end of a segment.
%include "test.inc"

FREE     equ 0x7000             ; segment of free memory
PORT92   equ 0x92

TEST16
    ; The next instruction, by each size.
    mov byte [.byte + 1], 0x22
.byte:
    mov al, 0x11
    CHECK_EQ al, 0x22
    mov word [.word + 1], 0x1234
.word:
    mov ax, 0
    CHECK_EQ ax, 0x1234
    mov dword [.dword + 2], 0x12345678
.dword:
    mov eax, 0
    CHECK_EQ eax, 0x12345678
    ; A prefix appears: what was a 16-bit instruction and a byte of data becomes a 32-bit one.
    mov ebx, 0x10000
    mov byte [.prefix], 0x66
.prefix:
    nop
    inc bx
    CHECK_EQ ebx, 0x10001
    ; The opcode and the length: three bytes become nops.
    mov ax, 0x9090
    mov [.opcode], ax
    mov [.opcode + 1], ax
.opcode:
    mov ax, 7
    CHECK_EQ ax, 0x9090
    ; A loop that counts up its own immediate, and data in the same line as the code that counts it up.
    mov cx, 100
.loop:
    mov dx, 0
    inc word [.loop + 1]
    loop .loop
    CHECK_EQ dx, 99
    mov cx, 10000
    jmp .beside
.counter: dw 0
.beside:
    inc word [.counter]
    loop .beside
    CHECK_EQ word [.counter], 10000
    ; A jump that finds its way: its target is stored in it.
    mov byte [.way + 1], .right - .way - 2
.way:
    jmp short .wrong
.wrong:
    mov al, 0
    jmp .there
.right:
    mov al, 1
.there:
    CHECK_EQ al, 1
    ; String instructions write the code behind them.
    push ds
    pop es
    mov di, .stos
    mov cx, 3
    mov al, 0x90
    rep stosb
.stos:
    mov ax, 0x1111
    CHECK_EQ al, 0x90
    mov si, .model
    mov di, .movs
    mov cx, 3
    rep movsb
.movs:
    mov ax, 0x1111
    CHECK_EQ ax, 0x2222
    jmp .after_model
.model:
    mov ax, 0x2222
.after_model:
    ; Pushed onto the code: the stack runs down into it.
    mov bp, sp
    mov sp, .pushed + 3
    push word 0x3333
    mov sp, bp
.pushed:
    mov ax, 0
    CHECK_EQ ax, 0x3333
    ; The same bytes through other segments.
    mov ax, 0x10
    mov es, ax
    mov byte [es:.other - 0x100 + 1], 0x44
.other:
    mov al, 0
    CHECK_EQ al, 0x44
    ; FFFF:x+10 is 0:x while A20 is off, and x + 100000 while it is on.
    in al, PORT92
    and al, 0xFE
    mov bl, al
    mov ax, 0xFFFF
    mov es, ax
    mov al, bl
    or al, 2
    out PORT92, al
    mov byte [es:.wrapped + 0x10 + 1], 0x55
    call .wrapped
    CHECK_EQ al, 0x11
    mov al, bl
    and al, 0xFD
    out PORT92, al
    mov al, 0xDD                ; the keyboard controller's half of the gate
    out 0x64, al
    mov byte [es:.wrapped + 0x10 + 1], 0x66
    call .wrapped
    mov dl, al
    mov al, bl
    or al, 2
    out PORT92, al
    mov al, 0xDF
    out 0x64, al
    CHECK_EQ dl, 0x66

    ; A function in free memory: mov ax, n; retf. On a page border its halves change one after the other.
    mov ax, FREE
    mov es, ax
    mov di, 0xFFE
    call .function
    CHECK_EQ ax, 0x0102
    mov byte [es:0xFFF], 0x55
    call FREE:0xFFE
    CHECK_EQ ax, 0x0155
    mov byte [es:0x1000], 0x66
    call FREE:0xFFE
    CHECK_EQ ax, 0x6655
    ; By a word over the border, and by a far pointer with another segment (FREE + 80:7FE).
    mov word [es:0xFFF], 0x7788
    call FREE + 0x80:0x7FE
    CHECK_EQ ax, 0x7788
    ; At the end of the segment: its last four bytes.
    mov di, 0xFFFC
    call .function
    CHECK_EQ ax, 0x0102
    mov word [es:0xFFFD], 0x99AA
    call FREE:0xFFFC
    CHECK_EQ ax, 0x99AA
    PASS

.wrapped:
    mov al, 0x11
    ret

; Makes the function at es:di, which returns 0102, and calls it.
.function:
    mov byte [es:di], 0xB8
    mov word [es:di + 1], 0x0102
    mov byte [es:di + 3], 0xCB
    push cs
    push word .called
    push es
    push di
    retf
.called:
    ret
