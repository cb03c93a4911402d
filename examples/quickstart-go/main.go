// The quickstart's program in Go.
//
//	pulumi config set host san1                  # a host of blockhost:hosts
//	pulumi config set --secret chap correct-horse-battery
//	pulumi up
package main

import (
	"blockhost.local/sdk/go/blockhost"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cfg := config.New(ctx, "")
		host, pool := or(cfg.Get("host"), "embedded"), or(cfg.Get("pool"), "fast")

		data, err := blockhost.NewVolume(ctx, "data", &blockhost.VolumeArgs{
			Host: pulumi.String(host),
			Pool: pulumi.String(pool),
			Size: pulumi.String(or(cfg.Get("size"), "64MiB")),
		})
		if err != nil {
			return err
		}
		if _, err := blockhost.NewVolume(ctx, "logs", &blockhost.VolumeArgs{
			Host: pulumi.String(host),
			Pool: pulumi.String(pool),
			Size: pulumi.String("32MiB"),
		}); err != nil {
			return err
		}

		before, err := blockhost.NewSnapshot(ctx, "before", &blockhost.SnapshotArgs{Volume: data.ID().ToStringOutput()})
		if err != nil {
			return err
		}
		clone, err := blockhost.NewVolume(ctx, "clone", &blockhost.VolumeArgs{
			Host:   pulumi.String(host),
			Pool:   pulumi.String(pool),
			Source: blockhost.VolumeSourceArgs{Snapshot: before.ID().ToStringOutput()},
		})
		if err != nil {
			return err
		}

		lun, err := blockhost.NewExport(ctx, "lun", &blockhost.ExportArgs{
			Source:   data.ID().ToStringOutput(),
			Protocol: blockhost.ProtocolIscsi,
			Initiators: blockhost.InitiatorArray{
				blockhost.InitiatorArgs{
					Iqn: pulumi.String("iqn.2024-01.com.example:db1"),
					Chap: blockhost.ChapArgs{
						Username: pulumi.String("db1"),
						Password: cfg.RequireSecret("chap"),
					},
				},
			},
		})
		if err != nil {
			return err
		}

		capacity := blockhost.LookupPoolOutput(ctx, blockhost.LookupPoolOutputArgs{
			Host: pulumi.String(host),
			Pool: pulumi.String(pool),
		})

		ctx.Export("dataPath", data.Path)
		ctx.Export("clonePath", clone.Path)
		// What os-brick, Nomad, libvirt or a script need to attach it.
		ctx.Export("connection", lun.Connection)
		ctx.Export("driver", capacity.Driver())
		return nil
	})
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
