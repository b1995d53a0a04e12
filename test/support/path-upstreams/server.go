// Go's own file server behind its ServeMux: `server FOLDER`. Prints its port, then a line for each resource it resolved.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
)

var lines sync.Mutex

func report(id, resource string) {
	lines.Lock()
	defer lines.Unlock()
	text, _ := json.Marshal(map[string]string{"id": id, "resource": resource})
	fmt.Println(string(text))
}

type files struct {
	http.Dir
	id string
}

func (f files) Open(name string) (http.File, error) {
	file, err := f.Dir.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && !info.IsDir() {
		report(f.id, strings.TrimPrefix(path.Clean(name), "/"))
	}
	return file, nil
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("x-case")
		report(id, "")
		r.Method = http.MethodGet
		http.FileServer(files{http.Dir(os.Args[1]), id}).ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, mux))
}
