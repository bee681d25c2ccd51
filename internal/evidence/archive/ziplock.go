package archive

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"tutela"
)

// Two ciphers open zip members: the one of PKZIP 2.0 (APPNOTE 6.1) and the AES
// of WinZip ("AES Encryption Information: Encryption Specification AE-1 and
// AE-2"). What PKWARE calls strong encryption (APPNOTE 7) is not read.

const (
	methodAES      = 99
	zipStrong      = 1 << 6 // flag, 4.4.4
	pkzipHeader    = 12     // bytes before the data, 6.1.3
	aesVerifier    = 2      // bytes behind the salt
	aesMACBytes    = 10
	aesRounds      = 1000
	aesFieldNumber = 0x9901
)

// zipCipher decrypts the data of one member with one passphrase; an error says
// that the passphrase does not fit.
type zipCipher func(data *io.SectionReader, passphrase string) (io.Reader, error)

// unlockZip finds the passphrase of an encrypted member and makes the member
// open with it, or says why it stays closed.
func (l *listing) unlockZip(z *zipMember, data *io.SectionReader, m *member) {
	decrypt, err := z.cipher()
	if err != nil {
		m.refuse(fail(err))
		return
	}
	open := func(passphrase string) (io.ReadCloser, error) {
		plain, err := decrypt(io.NewSectionReader(data, 0, data.Size()), passphrase)
		if err != nil {
			return nil, err
		}
		return z.openFrom(plain, data.Size(), plain)
	}
	tried := false
	passphrase, number := l.unlock(func(p string) error {
		tried = true
		return l.fits(open(p))
	})
	if number < 0 {
		m.refuse(l.lockedZip(tried))
		return
	}
	m.unlocked(number)
	m.open = func() (io.ReadCloser, error) { return open(passphrase) }
}

func (l *listing) lockedZip(tried bool) *Error {
	why := l.locked("zip")
	if !tried {
		why.Err = errors.New("zip: the member is encrypted")
	}
	return why
}

// cipher is the one the member is encrypted with. It sets the method that the
// decrypted data are compressed with.
func (z *zipMember) cipher() (zipCipher, error) {
	switch {
	case z.flags&zipStrong != 0:
		return nil, &Error{tutela.FindingEncrypted, errors.New("zip: the member is encrypted with a method that is not read (strong encryption)")}
	case z.method == methodAES:
		return z.winZip()
	case !z.checkable:
		return nil, &Error{tutela.FindingEncrypted, errors.New("zip: the member is encrypted, and without a checksum nothing tells whether a passphrase fits")}
	case zipMethods[z.method] == nil:
		return nil, unsupported("zip: encrypted; compression method %s", zipMethodName(z.method))
	}
	return z.pkzip, nil
}

// pkzip decrypts traditional encryption. One byte of its header tells whether
// the passphrase is wrong; the CRC at the end, whether it is right.
func (z *zipMember) pkzip(data *io.SectionReader, passphrase string) (io.Reader, error) {
	k := newPkzipKeys(passphrase)
	var header [pkzipHeader]byte
	if _, err := io.ReadFull(data, header[:]); err != nil {
		return nil, whole(err)
	}
	k.decrypt(header[:])
	check := byte(z.crc >> 24)
	if z.flags&zipDescriptor != 0 {
		check = byte(z.clock >> 8) // the CRC is not known when this is written
	}
	if header[pkzipHeader-1] != check {
		return nil, errPassphrase
	}
	return &pkzipReader{data, k}, nil
}

var errPassphrase = errors.New("the passphrase does not fit")

type pkzipReader struct {
	src  io.Reader
	keys *pkzipKeys
}

func (r *pkzipReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.keys.decrypt(p[:n])
	return n, err
}

// pkzipKeys are the three keys of 6.1.5.
type pkzipKeys [3]uint32

func newPkzipKeys(passphrase string) *pkzipKeys {
	k := &pkzipKeys{0x12345678, 0x23456789, 0x34567890}
	for i := range len(passphrase) {
		k.update(passphrase[i])
	}
	return k
}

func (k *pkzipKeys) update(b byte) {
	k[0] = crc32.IEEETable[byte(k[0])^b] ^ k[0]>>8
	k[1] = (k[1]+k[0]&0xff)*134775813 + 1
	k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
}

func (k *pkzipKeys) decrypt(p []byte) {
	for i, b := range p {
		t := k[2] | 2
		b ^= byte(t * (t ^ 1) >> 8)
		k.update(b)
		p[i] = b
	}
}

// winZip reads the AES extra field: version, "AE", strength, and the method.
func (z *zipMember) winZip() (zipCipher, error) {
	field := z.field(aesFieldNumber)
	if len(field) < 7 || field[4] < 1 || field[4] > 3 {
		return nil, errors.New("zip: the field that says how AES was used is missing or damaged")
	}
	z.method = binary.LittleEndian.Uint16(field[5:])
	if zipMethods[z.method] == nil {
		return nil, unsupported("zip: encrypted; compression method %s", zipMethodName(z.method))
	}
	const ae2 = 2 // has no CRC, since that would tell about the content
	z.noCRC = binary.LittleEndian.Uint16(field) == ae2
	saltBytes := 4 + 4*int(field[4]) // 8, 12, 16
	return func(data *io.SectionReader, passphrase string) (io.Reader, error) {
		return newWinZip(data, passphrase, saltBytes)
	}, nil
}

// newWinZip derives the keys, checks the two bytes that tell most wrong
// passphrases, and decrypts. Whether all is right is told by the authentication
// code behind the data.
func newWinZip(data *io.SectionReader, passphrase string, saltBytes int) (io.Reader, error) {
	head := make([]byte, saltBytes+aesVerifier)
	length := data.Size() - int64(len(head)) - aesMACBytes
	if _, err := io.ReadFull(data, head); err != nil || length < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	keyBytes := 2 * saltBytes
	keys, err := pbkdf2.Key(sha1.New, passphrase, head[:saltBytes], aesRounds, 2*keyBytes+aesVerifier)
	if err != nil {
		return nil, fmt.Errorf("zip: derive key: %w", err)
	}
	if !hmac.Equal(keys[2*keyBytes:], head[saltBytes:]) {
		return nil, errPassphrase
	}
	block, err := aes.NewCipher(keys[:keyBytes])
	if err != nil {
		return nil, err
	}
	return &winZipReader{
		src: io.LimitReader(data, length), tail: data, block: block,
		mac: hmac.New(sha1.New, keys[keyBytes:2*keyBytes]), used: aes.BlockSize,
	}, nil
}

// winZipReader is AES in counter mode with a little-endian counter that begins
// at 1, which the standard library's counter mode is not.
type winZipReader struct {
	src     io.Reader
	tail    io.Reader // the code, once src is read
	block   cipher.Block
	mac     hash.Hash
	counter uint64
	stream  [aes.BlockSize]byte
	used    int   // of stream
	end     error // once it was reached
}

func (r *winZipReader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	n, err := r.src.Read(p)
	r.mac.Write(p[:n])
	for i := range p[:n] {
		if r.used == aes.BlockSize {
			r.next()
		}
		p[i] ^= r.stream[r.used]
		r.used++
	}
	if err == io.EOF {
		err = r.verify()
		r.end = err
	}
	return n, err
}

func (r *winZipReader) next() {
	r.counter++
	var in [aes.BlockSize]byte
	binary.LittleEndian.PutUint64(in[:], r.counter)
	r.block.Encrypt(r.stream[:], in[:])
	r.used = 0
}

func (r *winZipReader) verify() error {
	var want [aesMACBytes]byte
	if _, err := io.ReadFull(r.tail, want[:]); err != nil {
		return whole(err)
	}
	if !hmac.Equal(want[:], r.mac.Sum(nil)[:aesMACBytes]) {
		return errors.New("zip: the authentication code does not hold: the data were changed, or the passphrase is wrong")
	}
	return io.EOF
}
