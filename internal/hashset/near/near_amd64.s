#include "textflag.h"

// How many lists ahead of the one that is looked through memory is asked for,
// and how many bytes of a list at most.
#define AHEAD 12
#define SPAN 24
#define MOST 1024

// A filter stops when fewer than 16 of its 128 hits are free.
#define HITS (128-16)*8

// PREFETCH asks for the list that lies AHEAD of the span at DI, of which CX and
// the following are left.
#define PREFETCH(loop, done) \
	CMPQ CX, $(AHEAD+1) \
	JLT  done \
	MOVQ (AHEAD*SPAN)(DI), R10 \
	MOVL (AHEAD*SPAN+8)(DI), R11 \
	LEAQ (SI)(R10*4), R10 \
	LEAQ (R10)(R11*4), R11 \
	LEAQ MOST(R10), R12 \
	CMPQ R11, R12 \
	CMOVQHI R12, R11 \
loop: \
	PREFETCHT0 (R10) \
	ADDQ $64, R10 \
	CMPQ R10, R11 \
	JCS  loop \
done:

// In both filters: SI postings, DI the span, CX spans left, R8 where the next
// hit goes, R9 where hits must stop; of the list R10 the number of the
// signature, R11 how many are left, R12 their address.

// func filter512(postings *byte, spans *span, count int, hits *[128]uint64) (done, found int)
TEXT ·filter512(SB), NOSPLIT, $0-48
	MOVQ postings+0(FP), SI
	MOVQ spans+8(FP), DI
	MOVQ count+16(FP), CX
	MOVQ hits+24(FP), R8
	LEAQ HITS(R8), R9

next512:
	PREFETCH(ask512, asked512)
	MOVQ 0(DI), R10
	MOVL 8(DI), R11
	VPBROADCASTD 12(DI), Z0
	VPBROADCASTD 16(DI), Z1
	LEAQ (SI)(R10*4), R12

sixteen512:
	CMPQ R11, $16
	JLT  rest512
	VPXORD (R12), Z0, Z2
	VPOPCNTD Z2, Z2
	VPCMPUD $2, Z1, Z2, K1
	KMOVW K1, AX
	TESTL AX, AX
	JNZ  hit512
more512:
	ADDQ $64, R12
	ADDQ $16, R10
	SUBQ $16, R11
	JMP  sixteen512

rest512:
	TESTQ R11, R11
	JZ    after512
	// The mask has as many bits as postings are left: nothing behind is read.
	MOVL $-1, BX
	MOVQ CX, DX
	MOVQ R11, CX
	SHLL CX, BX
	MOVQ DX, CX
	NOTL BX
	KMOVW BX, K2
	VPXORD.Z (R12), Z0, K2, Z2
	VPOPCNTD Z2, Z2
	VPCMPUD $2, Z1, Z2, K2, K1
	KMOVW K1, AX
	TESTL AX, AX
	JNZ  hitrest512

after512:
	ADDQ $SPAN, DI
	DECQ CX
	JNZ  next512

end512:
	VZEROUPPER
	MOVQ count+16(FP), AX
	SUBQ CX, AX
	MOVQ AX, done+32(FP)
	MOVQ hits+24(FP), AX
	SUBQ AX, R8
	SHRQ $3, R8
	MOVQ R8, found+40(FP)
	RET

hit512:
	TZCNTL AX, BX
	ADDQ R10, BX
	MOVQ BX, (R8)
	ADDQ $8, R8
	LEAL -1(AX), BX
	ANDL BX, AX
	JNZ  hit512
	CMPQ R8, R9
	JLS  more512
	// Full: the span goes on behind these.
	ADDQ $16, R10
	SUBQ $16, R11
	MOVQ R10, 0(DI)
	MOVL R11, 8(DI)
	JMP  end512

hitrest512:
	TZCNTL AX, BX
	ADDQ R10, BX
	MOVQ BX, (R8)
	ADDQ $8, R8
	LEAL -1(AX), BX
	ANDL BX, AX
	JNZ  hitrest512
	CMPQ R8, R9
	JLS  after512
	DECQ CX
	JMP  end512

// One query of a narrow sweep: the bits of both words that differ, counted.
// What is OR'd is 0xF6: t | (h ^ q).
#define DIFFER(q0, q1, t) \
	VPXORQ q0, Z16, t \
	VPTERNLOGQ $0xF6, q1, Z17, t \
	VPOPCNTQ t, t

// func sweepNarrow512(b *block, group *[8]tutela.PDQ, m *marks) bool
TEXT ·sweepNarrow512(SB), NOSPLIT, $0-25
	MOVQ b+0(FP), SI
	MOVQ group+8(FP), DI
	MOVQ m+16(FP), R8
	VPBROADCASTQ 0(DI), Z0
	VPBROADCASTQ 8(DI), Z1
	VPBROADCASTQ 32(DI), Z2
	VPBROADCASTQ 40(DI), Z3
	VPBROADCASTQ 64(DI), Z4
	VPBROADCASTQ 72(DI), Z5
	VPBROADCASTQ 96(DI), Z6
	VPBROADCASTQ 104(DI), Z7
	VPBROADCASTQ 128(DI), Z8
	VPBROADCASTQ 136(DI), Z9
	VPBROADCASTQ 160(DI), Z10
	VPBROADCASTQ 168(DI), Z11
	VPBROADCASTQ 192(DI), Z12
	VPBROADCASTQ 200(DI), Z13
	VPBROADCASTQ 224(DI), Z14
	VPBROADCASTQ 232(DI), Z15
	// The bit that says that a count is above 31.
	MOVQ $32, AX
	VPBROADCASTQ AX, Z31
	XORL BX, BX
	MOVQ $64, CX

eight512:
	VMOVDQU64 (SI), Z16
	VMOVDQU64 4096(SI), Z17
	DIFFER(Z0, Z1, Z18)
	DIFFER(Z2, Z3, Z19)
	DIFFER(Z4, Z5, Z20)
	DIFFER(Z6, Z7, Z21)
	DIFFER(Z8, Z9, Z22)
	DIFFER(Z10, Z11, Z23)
	DIFFER(Z12, Z13, Z24)
	DIFFER(Z14, Z15, Z25)
	// All of them AND'd, three at a time (0x80), and the lanes in which the bit
	// is not set in every count.
	VPTERNLOGQ $0x80, Z19, Z20, Z18
	VPTERNLOGQ $0x80, Z22, Z23, Z21
	VPTERNLOGQ $0x80, Z24, Z25, Z18
	VPANDQ Z21, Z18, Z18
	VPTESTNMQ Z31, Z18, K1
	KMOVB K1, AX
	MOVB AX, (R8)
	ORL  AX, BX
	ADDQ $64, SI
	INCQ R8
	DECQ CX
	JNZ  eight512

	VZEROUPPER
	TESTL BX, BX
	SETNE ret+24(FP)
	RET

// One query of a wide sweep: the least count so far stays in Z4.
#define LEAST(at) \
	VPXORQ.BCST at(DI), Z0, Z5 \
	VPTERNLOGQ.BCST $0xF6, at+8(DI), Z1, Z5 \
	VPTERNLOGQ.BCST $0xF6, at+16(DI), Z2, Z5 \
	VPTERNLOGQ.BCST $0xF6, at+24(DI), Z3, Z5 \
	VPOPCNTQ Z5, Z5 \
	VPMINUQ Z5, Z4, Z4

// func sweepWide512(b *block, group *[8]tutela.PDQ, limit int, m *marks) bool
TEXT ·sweepWide512(SB), NOSPLIT, $0-33
	MOVQ b+0(FP), SI
	MOVQ group+8(FP), DI
	MOVQ m+24(FP), R8
	VPBROADCASTQ limit+16(FP), Z6
	MOVQ $255, AX
	VPBROADCASTQ AX, Z7
	XORL BX, BX
	MOVQ $64, CX

wide512:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 4096(SI), Z1
	VMOVDQU64 8192(SI), Z2
	VMOVDQU64 12288(SI), Z3
	VMOVDQA64 Z7, Z4
	LEAST(0)
	LEAST(32)
	LEAST(64)
	LEAST(96)
	LEAST(128)
	LEAST(160)
	LEAST(192)
	LEAST(224)
	VPCMPUQ $2, Z6, Z4, K1
	KMOVB K1, AX
	MOVB AX, (R8)
	ORL  AX, BX
	ADDQ $64, SI
	INCQ R8
	DECQ CX
	JNZ  wide512

	VZEROUPPER
	TESTL BX, BX
	SETNE ret+32(FP)
	RET

// Bits set in a number of four bits.
DATA ones<>+0(SB)/8, $0x0302020102010100
DATA ones<>+8(SB)/8, $0x0403030203020201
DATA ones<>+16(SB)/8, $0x0302020102010100
DATA ones<>+24(SB)/8, $0x0403030203020201
GLOBL ones<>(SB), RODATA|NOPTR, $32

// COUNT counts the bits of each byte of v into v, by way of t: Y13 is ones, Y14
// is 15 in every byte.
#define COUNT(v, t) \
	VPSRLQ $4, v, t \
	VPAND Y14, v, v \
	VPAND Y14, t, t \
	VPSHUFB v, Y13, v \
	VPSHUFB t, Y13, t \
	VPADDB t, v, v

// NIBBLES prepares for COUNT, by way of AX.
#define NIBBLES \
	VMOVDQU ones<>(SB), Y13 \
	MOVL $0x0f0f0f0f, AX \
	VMOVD AX, X14 \
	VPBROADCASTD X14, Y14

// func filter256(postings *byte, spans *span, count int, hits *[128]uint64) (done, found int)
TEXT ·filter256(SB), NOSPLIT, $0-48
	MOVQ postings+0(FP), SI
	MOVQ spans+8(FP), DI
	MOVQ count+16(FP), CX
	MOVQ hits+24(FP), R8
	LEAQ HITS(R8), R9
	NIBBLES
	// 1 in every byte, and 1 in every word of 16 bits, to add neighbours.
	VPCMPEQB Y11, Y11, Y11
	VPABSB Y11, Y11
	VPCMPEQW Y12, Y12, Y12
	VPABSW Y12, Y12

next256:
	PREFETCH(ask256, asked256)
	MOVQ 0(DI), R10
	MOVL 8(DI), R11
	VPBROADCASTD 12(DI), Y0
	VPBROADCASTD 16(DI), Y1
	LEAQ (SI)(R10*4), R12

eight256:
	CMPQ R11, $8
	JLT  rest256
	VPXOR (R12), Y0, Y2
	COUNT(Y2, Y3)
	VPMADDUBSW Y11, Y2, Y2
	VPMADDWD Y12, Y2, Y2
	// The lanes that are not above the limit.
	VPCMPGTD Y1, Y2, Y2
	VMOVMSKPS Y2, AX
	XORL $255, AX
	JNZ  hit256
more256:
	ADDQ $32, R12
	ADDQ $8, R10
	SUBQ $8, R11
	JMP  eight256

hit256:
	TZCNTL AX, BX
	ADDQ R10, BX
	MOVQ BX, (R8)
	ADDQ $8, R8
	LEAL -1(AX), BX
	ANDL BX, AX
	JNZ  hit256
	CMPQ R8, R9
	JLS  more256
	ADDQ $8, R10
	SUBQ $8, R11
	MOVQ R10, 0(DI)
	MOVL R11, 8(DI)
	JMP  end256

rest256:
	// At most 7 hits, which fit: hits stop at 16 free.
	TESTQ R11, R11
	JZ    after256
	MOVL (R12), AX
	XORL 12(DI), AX
	POPCNTL AX, AX
	MOVQ R10, (R8)
	LEAQ 8(R8), BX
	CMPL AX, 16(DI)
	CMOVQLS BX, R8
	ADDQ $4, R12
	INCQ R10
	DECQ R11
	JMP  rest256

after256:
	ADDQ $SPAN, DI
	DECQ CX
	JZ   end256
	CMPQ R8, R9
	JLS  next256

end256:
	VZEROUPPER
	MOVQ count+16(FP), AX
	SUBQ CX, AX
	MOVQ AX, done+32(FP)
	MOVQ hits+24(FP), AX
	SUBQ AX, R8
	SHRQ $3, R8
	MOVQ R8, found+40(FP)
	RET

// One query of a narrow sweep: the bits of both words that differ, counted in
// each lane of 64 bits.
#define DIFFER256(q0, q1, t, u) \
	VPXOR Y8, q0, t \
	VPXOR Y9, q1, u \
	VPOR  u, t, t \
	COUNT(t, u) \
	VPSADBW Y15, t, t

// HALF compares four hashes at off with four queries in Y0 to Y7; the bit that
// says above 31 moves to the lanes' signs, and those without it become the low
// bits of reg.
#define HALF256(off, reg) \
	VMOVDQU off(SI), Y8 \
	VMOVDQU off+4096(SI), Y9 \
	DIFFER256(Y0, Y1, Y10, Y11) \
	DIFFER256(Y2, Y3, Y12, Y11) \
	VPAND Y12, Y10, Y10 \
	DIFFER256(Y4, Y5, Y12, Y11) \
	VPAND Y12, Y10, Y10 \
	DIFFER256(Y6, Y7, Y12, Y11) \
	VPAND Y12, Y10, Y10 \
	VPSLLQ $58, Y10, Y10 \
	VMOVMSKPD Y10, reg \
	XORL $15, reg

// func sweepNarrow256(b *block, group *[8]tutela.PDQ, m *marks) bool
TEXT ·sweepNarrow256(SB), NOSPLIT, $0-25
	MOVQ group+8(FP), DI
	NIBBLES
	VPXOR Y15, Y15, Y15
	XORL BX, BX
	// Marks are OR'd by two rounds of four queries each.
	MOVQ m+16(FP), R8
	VMOVDQU Y15, 0(R8)
	VMOVDQU Y15, 32(R8)
	MOVQ $2, R9

round256:
	MOVQ b+0(FP), SI
	MOVQ m+16(FP), R8
	VPBROADCASTQ 0(DI), Y0
	VPBROADCASTQ 8(DI), Y1
	VPBROADCASTQ 32(DI), Y2
	VPBROADCASTQ 40(DI), Y3
	VPBROADCASTQ 64(DI), Y4
	VPBROADCASTQ 72(DI), Y5
	VPBROADCASTQ 96(DI), Y6
	VPBROADCASTQ 104(DI), Y7
	MOVQ $64, CX

both256:
	HALF256(0, AX)
	HALF256(32, DX)
	SHLL $4, DX
	ORL  DX, AX
	ORB  AX, (R8)
	ORL  AX, BX
	ADDQ $64, SI
	INCQ R8
	DECQ CX
	JNZ  both256

	ADDQ $128, DI
	DECQ R9
	JNZ  round256

	VZEROUPPER
	TESTL BX, BX
	SETNE ret+24(FP)
	RET
