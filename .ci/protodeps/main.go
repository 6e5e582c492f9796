// Command protodeps prints the protos that Belfry's own import, google/api and protovalidate's, into the
// folder that it is given. It takes them from the descriptors inside Go packages, so that generating code
// needs no schema registry: only the module proxy.
//
//	go run -modfile=.ci/tools.mod ./.ci/protodeps .protodeps
package main

import (
	"fmt"
	"os"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protodeps FOLDER")
		os.Exit(2)
	}
	if err := print(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", err)
		os.Exit(1)
	}
}

func print(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	files := []protoreflect.FileDescriptor{
		annotations.File_google_api_annotations_proto,
		annotations.File_google_api_http_proto,
		annotations.File_google_api_client_proto,
		api.File_google_api_launch_stage_proto,
		validate.File_buf_validate_validate_proto,
	}
	return new(protoprint.Printer).PrintProtosToFileSystem(files, dir)
}
