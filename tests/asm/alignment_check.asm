; #AC: only with CR0.AM, EFLAGS.AC and CPL 3; by the size of the access; not for accesses of CPL 0 or to system structures; stack and
; string instructions too; error code 0.
; no-qemu: TCG has no #AC
%include "test.inc"

TEST32
    mov eax, cr0
    or eax, 1 << 18
    mov cr0, eax
    RUN_USER user_all                            ; AC clear: nothing
    CHECK_USER_DONE
%macro USER_AC 1
    mov esi, %1
    RUN_USER user_ac
    CHECK_EXC 17, 0
    EXC_IP_IS %1
    pushfd
    and dword [esp], ~0x40000
    popfd
%endmacro
    USER_AC user_word
    USER_AC user_dword
    USER_AC user_write
    USER_AC user_rmw
    USER_AC user_push
    mov esi, user_aligned
    RUN_USER user_ac
    CHECK_USER_DONE
    ; CPL 0.
    pushfd
    or dword [esp], 0x40000
    popfd
    mov eax, [0x70001]
    pushfd
    and dword [esp], ~0x40000
    popfd
    mov eax, cr0
    and eax, ~(1 << 18)
    mov cr0, eax
    mov esi, user_dword_done
    RUN_USER user_ac
    CHECK_USER_DONE
    PASS

user_all:
    mov ax, [0x70001]
    mov eax, [0x70002]
    USER_DONE
user_ac:
    pushfd
    or dword [esp], 0x40000
    popfd
    jmp esi
user_word:
    mov ax, [0x70001]
user_dword:
    mov eax, [0x70002]
user_write:
    mov [0x70003], eax
user_rmw:
    add word [0x70005], 1
user_push:
    push dword [esp + 2]
user_aligned:
    mov al, [0x70001]
    mov ax, [0x70002]
    mov eax, [0x70004]
    USER_DONE
user_dword_done:
    mov eax, [0x70001]
    USER_DONE
