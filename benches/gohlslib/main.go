// gohlslib_origin: the muxer of MediaMTX behind net/http, with the same synthetic stream as `live_origin` of crates/front, for
// `benches/llhls.py`. It prints one line of JSON with its address and serves until standard input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
)

func filled(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x5a
	}
	return b
}

func main() {
	sps := []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps := []byte{0x68, 0xeb}
	video := &gohlslib.Track{Codec: &codecs.H264{SPS: sps, PPS: pps}, ClockRate: 90000}
	audio := &gohlslib.Track{Codec: &codecs.Opus{ChannelCount: 2}, ClockRate: 48000}
	// The settings of mediamtx.yml in the folder of peers.
	muxer := &gohlslib.Muxer{
		Variant: gohlslib.MuxerVariantLowLatency, SegmentCount: 7, SegmentMinDuration: 2 * time.Second,
		PartMinDuration: 500 * time.Millisecond, Tracks: []*gohlslib.Track{video, audio},
	}
	if err := muxer.Start(); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/live/bench")
		muxer.Handle(w, r)
	}))
	fmt.Printf("{\"http\": %q}\n", listener.Addr())
	go func() {
		begun := time.Now()
		sounds := int64(0)
		for n := int64(0); ; n++ {
			time.Sleep(time.Until(begun.Add(time.Duration(n) * time.Second / 30)))
			unit := [][]byte{append([]byte{0x41}, filled(4395)...)}
			if n%60 == 0 {
				unit = [][]byte{sps, pps, append([]byte{0x65}, filled(35995)...)}
			}
			if err := muxer.WriteH264(video, time.Now(), n*3000, unit); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			for ; sounds*30 < (n+1)*50; sounds++ {
				frame := append([]byte{0xfc}, filled(159)...)
				if err := muxer.WriteOpus(audio, time.Now(), sounds*960, [][]byte{frame}); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}
