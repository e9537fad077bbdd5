; A boot disk of 20 sectors that exercises the services of the BIOS in real mode: int 10h, 11h, 12h, 13h, 14h,
; 15h, 16h and 1Ah. It runs from a floppy and from a hard disk.
;
; Each check prints its name; a failed one adds "FAIL" and is counted. Text goes to the screen through int 10h
; and to COM1. At the end comes "BIOS TEST: PASS" or "BIOS TEST: n FAILED" on both; then it waits for a
; key ("press x"), says which it got, and resets the PC by a jump to the reset vector if that was 'r',
; or stays halted.
;
; Services are as Ralf Brown's Interrupt List describes them.

cpu 386
bits 16
org 0x7C00

STAGE2    equ 0x7E00
SECTORS   equ 19         ; of the second stage
BUFFER    equ 0x4000     ; in segment 0, below the boot sector
SCRATCH_SECTOR equ 19    ; the disk's last one, counted from 0, written by the test

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7C00
    sti
    cld
    mov [drive], dl
    ; The first sectors one at a time, so that it works for each number of sectors per track.
    mov ah, 8
    push es
    xor di, di
    int 0x13
    pop es
    jc .fail
    and cx, 63
    mov [sectors_per_track], cx
    movzx ax, dh
    inc ax
    mov [heads], ax
    mov si, 1
    mov bx, STAGE2
.next:
    mov ax, si
    call read_sector
    jc .fail
    add bx, 512
    inc si
    cmp si, SECTORS
    jb .next
    jmp stage2
.fail:
    mov si, text_load
    call puts
    hlt
    jmp $ - 1

; AX: sector, BX: where to. Carry: error.
read_sector:
    mov di, 0x0201
disk_sector:             ; DI: function and count
    pusha
    call to_chs
    mov ax, di
    int 0x13
    popa
    ret

; AX: sector -> CX, DH, DL as int 13h takes them.
to_chs:
    xor dx, dx
    div word [sectors_per_track]
    inc dx
    mov cx, dx
    xor dx, dx
    div word [heads]
    mov dh, dl
    mov ch, al
    shl ah, 6
    or cl, ah
    mov dl, [drive]
    ret

; SI: text, to the screen and COM1.
puts:
    pusha
.next:
    lodsb
    test al, al
    jz .end
    call putc
    jmp .next
.end:
    popa
    ret

putc:                    ; AL
    pusha
    mov bx, 7
    mov ah, 0x0E
    int 0x10
    popa
serial_putc:
    pusha
    mov ah, 1
    xor dx, dx
    int 0x14
    popa
    ret

drive:             db 0
sectors_per_track: dw 0
heads:             dw 0
text_load:         db "can't read the disk", 13, 10, 0

    times 446 - ($ - $$) db 0
    ; A partition table, so that no BIOS takes it for something else: one active partition, whole disk.
    db 0x80, 0, 2, 0, 0xDA, 0, 20, 0
    dd 1, 19
    times 510 - ($ - $$) db 0
    dw 0xAA55

; ---- Second stage ----

failures: dw 0

; CHECK "name": the carry flag of the routine says whether it failed.
%macro CHECK 2
    mov si, %%text
    call begin_check
    call %2
    call end_check
    jmp %%end
%%text: db %1, 0
%%end:
%endmacro

begin_check:
    call puts
    ret

end_check:
    mov si, text_ok
    jnc .print
    inc word [failures]
    mov si, text_fail
.print:
    push ds
    pop es
    cld
    call puts
    ret
text_ok:   db " ok", 13, 10, 0
text_fail: db " FAIL", 13, 10, 0

; Comparisons for the routines: leave with carry set where they differ.
%macro WANT 2
    cmp %1, %2
    jne fail
%endmacro
fail:
    stc
    ret

stage2:
    mov ax, 0x00E3       ; COM1: 9600 8N1
    xor dx, dx
    int 0x14
    mov ax, 3
    int 0x10
    CHECK "int 10h: video mode", video_mode
    CHECK "int 10h: cursor", video_cursor
    CHECK "int 10h: write and read a cell", video_cell
    CHECK "int 10h: write a string", video_string
    CHECK "int 10h: VBE information", video_vbe
    CHECK "int 11h: equipment", equipment
    CHECK "int 12h: base memory", base_memory
    CHECK "int 13h: reset", disk_reset
    CHECK "int 13h: type", disk_type
    CHECK "int 13h: read", disk_read
    CHECK "int 13h: write and read back", disk_write
    CHECK "int 13h: verify", disk_verify
    CHECK "int 13h: bad sector number", disk_error
    CHECK "int 13h: extended read (hard disk)", disk_extended
    CHECK "int 14h: status", serial_status
    CHECK "int 15h: A20 gate", a20
    CHECK "int 15h: extended memory", extended_memory
    CHECK "int 15h: E820 map", memory_map
    CHECK "int 15h: block move", block_move
    CHECK "int 15h: wait", wait_us
    CHECK "int 15h: configuration table", configuration
    CHECK "int 16h: key pushed and read", key_push
    CHECK "int 16h: shift flags", key_flags
    CHECK "int 1Ah: ticks count", ticks
    CHECK "int 1Ah: clock and date", rtc
    CHECK "int 1Ah: PCI BIOS", pci_bios
    mov si, text_result
    call puts
    mov ax, [failures]
    test ax, ax
    jz .pass
    mov bl, 10
    div bl
    add ax, "00"
    call putc
    mov al, ah
    call putc
    mov si, text_failed
    call puts
    jmp .key
.pass:
    mov si, text_pass
    call puts
.key:
    mov si, text_press
    call puts
    xor ah, ah
    int 0x16
    push ax
    mov si, text_got
    call puts
    pop ax
    push ax
    call putc
    mov al, 13
    call putc
    mov al, 10
    call putc
    pop ax
    cmp al, 'r'
    jne .halt
    mov word [0x472], 0
    jmp 0xF000:0xFFF0
.halt:
    cli
    hlt
    jmp .halt
text_result: db "BIOS TEST: ", 0
text_pass:   db "PASS", 13, 10, 0
text_failed: db " FAILED", 13, 10, 0
text_press:  db "press x", 13, 10, 0
text_got:    db "got ", 0

; ---- Video ----

video_mode:
    mov ah, 0x0F
    int 0x10
    WANT al, 3
    WANT ah, 80
    WANT bh, 0
    WANT word [0x44A], 80        ; BIOS data area: columns
    WANT byte [0x484], 24        ; rows - 1
    clc
    ret

video_cursor:
    mov ah, 3
    xor bh, bh
    int 0x10
    push dx
    mov ah, 2
    xor bh, bh
    mov dx, 0x1730
    int 0x10
    mov ah, 3
    xor bh, bh
    int 0x10
    mov cx, dx
    pop dx
    push cx
    mov ah, 2
    xor bh, bh
    int 0x10
    pop cx
    WANT cx, 0x1730
    clc
    ret

; Runs the code at BX with the cursor at row 24, column 10; then puts it back.
at_bottom:
    mov ah, 3
    push bx
    xor bh, bh
    int 0x10
    pop bx
    push dx
    push bx
    mov ah, 2
    xor bh, bh
    mov dx, 0x180A
    int 0x10
    pop bx
    call bx
    pop dx
    pushf
    mov ah, 2
    xor bh, bh
    int 0x10
    popf
    ret

video_cell:
    mov bx, .at
    jmp at_bottom
.at:
    mov ax, 0x0941               ; 'A', bright green on blue, three times
    mov bx, 0x001A
    mov cx, 3
    int 0x10
    mov ah, 8
    xor bh, bh
    int 0x10
    WANT ax, 0x1A41
    push es
    push 0xB800
    pop es
    mov eax, [es:(24 * 80 + 10) * 2]
    mov cx, [es:(24 * 80 + 13) * 2]
    pop es
    WANT eax, 0x1A411A41
    cmp cl, 'A'
    je fail
    clc
    ret

video_string:
    mov ax, 0x1300               ; attribute in BL, cursor stays
    mov bx, 0x0007
    mov cx, 5
    mov dx, 0x1814
    mov bp, .text
    int 0x10
    push es
    push 0xB800
    pop es
    mov eax, [es:(24 * 80 + 20) * 2]
    mov cl, [es:(24 * 80 + 24) * 2]
    pop es
    WANT eax, 0x07650748
    WANT cl, 'o'
    clc
    ret
.text: db "Hello"

video_vbe:
    mov di, BUFFER
    mov dword [di], "VBE2"
    mov ax, 0x4F00
    int 0x10
    WANT ax, 0x004F
    WANT dword [BUFFER], "VESA"
    cmp byte [BUFFER + 5], 2     ; major version
    jb fail
    clc
    ret

; ---- Equipment and memory ----

equipment:
    int 0x11
    test al, 2                   ; a coprocessor
    jz fail
    clc
    ret

base_memory:
    int 0x12
    cmp ax, 600
    jb fail
    cmp ax, 640
    ja fail
    WANT ax, [0x413]
    clc
    ret

extended_memory:
    mov ah, 0x88
    int 0x15
    jc fail
    cmp ax, 1024
    jb fail
    clc
    ret

; The map has usable memory at 0 and at 1 MB, ends, and no two ranges overlap with the one before.
memory_map:
    xor ebx, ebx
    mov byte [.seen], 0
    mov word [.left], 64
.next:
    mov di, BUFFER
    mov eax, 0xE820
    mov edx, "PAMS"
    mov ecx, 24
    int 0x15
    jc fail
    WANT eax, "PAMS"
    cmp ecx, 20
    jb fail
    cmp dword [BUFFER + 16], 1
    jne .end
    cmp dword [BUFFER + 4], 0
    jne .end
    cmp dword [BUFFER], 0
    jne .high
    or byte [.seen], 1
.high:
    cmp dword [BUFFER], 0x100000
    jne .end
    or byte [.seen], 2
.end:
    dec word [.left]
    jz fail
    test ebx, ebx
    jnz .next
    WANT byte [.seen], 3
    clc
    ret
.seen: db 0
.left: dw 0

a20:
    mov ax, 0x2402
    int 0x15
    jc fail
    cmp al, 1                    ; is on
    jne fail
    clc
    ret

; 64 bytes to 2 MB and back.
block_move:
    mov di, BUFFER
    mov cx, 32
    mov ax, 0x1234
.fill:
    stosw
    add ax, 0x1357
    loop .fill
    mov dword [.source], BUFFER
    mov byte [.source + 3], 0x93
    mov dword [.target], 0x200000
    mov byte [.target + 3], 0x93
    mov si, .gdt
    mov cx, 32
    mov ah, 0x87
    int 0x15
    jc fail
    mov dword [.source], 0x200000
    mov byte [.source + 3], 0x93
    mov dword [.target], BUFFER + 0x100
    mov byte [.target + 3], 0x93
    mov si, .gdt
    mov cx, 32
    mov ah, 0x87
    int 0x15
    jc fail
    mov si, BUFFER
    mov di, BUFFER + 0x100
    mov cx, 32
    repe cmpsw
    jne fail
    clc
    ret
align 8
.gdt:    dq 0, 0
         dw 0xFFFF
.source: dd 0
         dw 0
         dw 0xFFFF
.target: dd 0
         dw 0
         dq 0, 0

; 120 ms are at least one tick and less than ten seconds.
wait_us:
    mov eax, [0x46C]
    mov [.before], eax
    mov ah, 0x86
    mov cx, 120000 >> 16
    mov dx, 120000 & 0xFFFF
    int 0x15
    jc fail
    mov eax, [0x46C]
    sub eax, [.before]
    jz fail
    cmp eax, 182
    ja fail
    clc
    ret
.before: dd 0

configuration:
    push es
    mov ah, 0xC0
    int 0x15
    mov al, [es:bx + 2]
    pop es
    jc fail
    WANT al, 0xFC                ; model: AT
    clc
    ret

; ---- Disk ----

disk_reset:
    xor ah, ah
    mov dl, [drive]
    int 0x13
    jc fail
    WANT ah, 0
    clc
    ret

disk_type:
    mov ah, 0x15
    mov dl, [drive]
    int 0x13
    jc fail
    cmp byte [drive], 0x80
    jae .hard
    cmp ah, 1
    jb fail
    cmp ah, 2
    ja fail
    clc
    ret
.hard:
    WANT ah, 3
    clc
    ret

; The boot sector again, and it is the one that runs.
disk_read:
    xor ax, ax
    mov bx, BUFFER
    call read_sector
    jc fail
    mov si, BUFFER
    mov di, start
    mov cx, (drive - start) / 2
    repe cmpsw
    jne fail
    WANT word [BUFFER + 510], 0xAA55
    clc
    ret

disk_write:
    mov di, BUFFER
    mov cx, 256
    mov ax, 0xBEEF
.fill:
    stosw
    rol ax, 3
    add ax, cx
    loop .fill
    mov ax, SCRATCH_SECTOR
    mov bx, BUFFER
    mov di, 0x0301
    call disk_sector
    jc fail
    mov ax, SCRATCH_SECTOR
    mov bx, BUFFER + 512
    call read_sector
    jc fail
    mov si, BUFFER
    mov di, BUFFER + 512
    mov cx, 256
    repe cmpsw
    jne fail
    clc
    ret

disk_verify:
    mov ax, SCRATCH_SECTOR
    mov bx, BUFFER
    mov di, 0x0401
    call disk_sector
    jc fail
    clc
    ret

disk_error:
    mov ax, 0x0201
    mov bx, BUFFER
    mov cx, 0x0000 + 63          ; more sectors than a floppy's track has; a hard disk's head 255
    mov dh, 255
    mov dl, [drive]
    int 0x13
    jnc fail
    test ah, ah
    jz fail
    clc
    ret

disk_extended:
    cmp byte [drive], 0x80
    jb .skip
    mov ah, 0x41
    mov bx, 0x55AA
    mov dl, [drive]
    int 0x13
    jc fail
    WANT bx, 0xAA55
    mov si, .packet
    mov word [BUFFER + 510], 0
    mov ah, 0x42
    mov dl, [drive]
    int 0x13
    jc fail
    WANT word [BUFFER + 510], 0xAA55
.skip:
    clc
    ret
.packet: db 16, 0
         dw 1, BUFFER, 0
         dq 0

; ---- Serial, keyboard, time, PCI ----

serial_status:
    mov ah, 3
    xor dx, dx
    int 0x14
    test ah, 0x80
    jnz fail
    clc
    ret

key_push:
    mov ah, 5
    mov cx, 0x1E61               ; 'a'
    int 0x16
    mov ah, 1
    int 0x16
    jz fail
    WANT ax, 0x1E61
    xor ah, ah
    int 0x16
    WANT ax, 0x1E61
    mov ah, 1
    int 0x16
    jnz fail
    clc
    ret

key_flags:
    mov ah, 2
    int 0x16
    test al, 0x0F                ; no shift, ctrl or alt is held
    jnz fail
    clc
    ret

ticks:
    xor ah, ah
    int 0x1A
    mov [.low], dx
    mov [.high], cx
    mov cx, 0                    ; up to 64 K looks with a halt between: an hour at worst
.next:
    push cx
    hlt
    xor ah, ah
    int 0x1A
    pop ax
    cmp dx, [.low]
    jne .moved
    mov cx, ax
    loop .next
    jmp fail
.moved:
    sub dx, [.low]
    cmp dx, 20
    ja fail
    clc
    ret
.low:  dw 0
.high: dw 0

; BCD values in range; the date is of this century.
rtc:
    mov ah, 2
    int 0x1A
    jc fail
    cmp ch, 0x23
    ja fail
    cmp cl, 0x59
    ja fail
    cmp dh, 0x59
    ja fail
    mov ah, 4
    int 0x1A
    jc fail
    WANT ch, 0x20
    cmp dh, 0x12
    ja fail
    cmp dl, 0x31
    ja fail
    test dl, dl
    jz fail
    clc
    ret

pci_bios:
    mov ax, 0xB101
    xor edi, edi
    int 0x1A
    jc fail
    WANT edx, "PCI "
    mov ax, 0xB10A               ; configuration dword 0 of 0:0.0: the 440FX
    xor bx, bx
    xor di, di
    int 0x1A
    jc fail
    WANT ecx, 0x12378086
    clc
    ret

    times SCRATCH_SECTOR * 512 - ($ - $$) db 0
    times 512 db 0
