#!/bin/sh
# Makes the files of this folder and expected.tsv with ImageMagick 6.9.11 and
# ffmpeg, from video-001.png reduced. Run here.
set -e
convert ../video-001.png -resize '61x43!' -strip -type TrueColor /tmp/rgb.png
r=/tmp/rgb.png
tif() { name=$1; shift; convert $r "$@" -strip tiff:$name.tif; }
tif none -compress none
tif none-be -endian MSB -compress none
tif lzw -compress lzw
tif lzw-plain -define tiff:predictor=1 -compress lzw
tif zip -compress zip
tif packbits -compress rle
tif jpeg -quality 95 -sampling-factor 1x1 -compress jpeg
tif planar -interlace plane -compress lzw
tif tiled -define tiff:tile-geometry=32x16 -compress zip
tif strips -define tiff:rows-per-strip=7 -compress lzw
tif cmyk -colorspace CMYK -compress lzw
tif deep -depth 16 -compress zip
tif deep-be -depth 16 -endian MSB -compress none
tif palette -colors 16 -type Palette -compress none
tif grey -colorspace gray -compress lzw
tif grey4 -colorspace gray -depth 4 -compress none
tif grey-jpeg -colorspace gray -quality 95 -compress jpeg
tif alpha -alpha set -channel A -evaluate set 50% -compress lzw
tif mono -monochrome -compress none
tif fax3 -monochrome -compress fax
tif fax4 -monochrome -compress group4
tif float -define quantum:format=floating-point -depth 32
convert $r \( $r -negate \) -strip -compress lzw tiff:pages.tif
bmp() { name=$1; kind=$2; shift 2; convert $r "$@" -strip $kind:$name.bmp; }
bmp bits24 BMP3
bmp bits8 BMP3 -colors 200 -type Palette -compress none
bmp bits4 BMP3 -colors 16 -type Palette
bmp bits1 BMP3 -monochrome
bmp rle8 BMP3 -colors 200 -type Palette -compress rle
bmp os2 BMP2
bmp v5 BMP -alpha on
bmp 555 BMP -define bmp:subtype=RGB555
bmp 565 BMP -define bmp:subtype=RGB565
ffmpeg -v error -y -i $r -pix_fmt bgra ffmpeg32.bmp
ffmpeg -v error -y -i $r -pix_fmt rgb565le ffmpeg565.bmp
convert $r ICO:large.ico
convert $r -colors 16 -type Palette ICO:palette.ico
convert \( $r -resize '16x16!' \) $r ICO:two.ico
psd() { name=$1; kind=$2; shift 2; convert $r "$@" -strip $kind:$name; }
psd none.psd PSD -compress none
psd rle.psd PSD -compress rle
psd grey.psd PSD -colorspace gray -compress rle
psd deep.psd PSD -depth 16 -compress none
psd large.psb PSB -compress rle
heif-enc $r -o hevc.heic >/dev/null 2>&1
heif-enc -A $r -o av1.avif >/dev/null 2>&1
for f in *.tif *.bmp *.ico *.ps?; do
	at="$f[0]"
	[ $f = two.ico ] && at="$f[1]"
	kind=rgb
	case $f in
	*jpeg* | float* | fax3* ) continue ;;
	cmyk*) kind=cmyk ;;
	esac
	printf '%s\t%s\t%s\n' $f $kind $(convert "$at" -alpha off -depth 16 -endian MSB $kind:- |
		perl -0777 -ne 'print pack("C*", map { $_ >> 8 } unpack("n*", $_))' | sha256sum | cut -d' ' -f1)
done >expected.tsv
