package track

import "strings"

// FourCC is the coding that four characters stand for in AVI files and where
// others use its names; Unknown if they are not known here.
func FourCC(name string) Codec { return fourCC[strings.ToUpper(name)] }

// fourCC holds the names in upper case: both cases are met.
var fourCC = map[string]Codec{
	"H264": H264, "X264": H264, "AVC1": H264, "DAVC": H264, "VSSH": H264, "Q264": H264, "V264": H264,
	"HEVC": HEVC, "H265": HEVC, "X265": HEVC, "HVC1": HEVC, "HEV1": HEVC,
	"VP80": VP8, "VP90": VP9, "AV01": AV1,
	"MPG1": MPEG1, "MPEG": MPEG1, "PIM1": MPEG1, "MPG2": MPEG2, "MP2V": MPEG2, "EM2V": MPEG2, "MMES": MPEG2,
	"XVID": MPEG4, "DIVX": MPEG4, "DX50": MPEG4, "FMP4": MPEG4, "MP4V": MPEG4, "MP4S": MPEG4, "M4S2": MPEG4, "3IV2": MPEG4, "XVIX": MPEG4, "RMP4": MPEG4, "UMP4": MPEG4, "BLZ0": MPEG4, "DXGM": MPEG4, "SEDG": MPEG4,
	"MP43": MSMPEG4, "DIV3": MSMPEG4, "DIV4": MSMPEG4, "DIV5": MSMPEG4, "DIV6": MSMPEG4, "MPG3": MSMPEG4, "COL1": MSMPEG4, "AP41": MSMPEG4,
	"MP42": MSMPEG4v2, "DIV2": MSMPEG4v2,
	"H263": H263, "U263": H263, "S263": H263, "FLV1": FLV1,
	"MJPG": MJPEG, "JPEG": MJPEG, "AVRN": MJPEG, "DMB1": MJPEG, "LJPG": MJPEG, "MJPA": MJPEG, "IJPG": MJPEG,
}
