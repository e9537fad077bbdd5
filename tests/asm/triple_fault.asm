; Triple fault: shutdown, which the chipset answers with a reset; with -no-reboot that is a clean end.
; no-bochs: it has no exit status for this
; status: 0
%include "test.inc"
TEST32
    sub esp, 8
    mov word [esp], 0
    mov dword [esp + 2], 0
    lidt [esp]
    ud2
