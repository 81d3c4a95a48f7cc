#!/usr/bin/env bash
# Brings this folder to an environment of Amazon MWAA:
#
#   bash dist/mwaa/deploy.sh BUCKET ENVIRONMENT
#
# It needs the `aws` command line and leave to write to the bucket and to update the environment.
# The environment keeps running what it has until the update is done, which takes MWAA 10 to 30
# minutes.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "Usage: $0 BUCKET ENVIRONMENT" >&2
  exit 2
fi
bucket=$1
environment=$2
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

ask() { # what the environment says: ask QUERY
  aws mwaa get-environment --name "$environment" --query "$1" --output text
}

put() { # upload a file and print its version: put FILE
  local version
  version=$(aws s3api put-object --bucket "$bucket" --key "$1" --body "$here/$1" \
    --query VersionId --output text)
  case $version in
    "" | None | null)
      echo "The bucket $bucket keeps no versions of $1, and MWAA wants them. Turn them on:" >&2
      echo "aws s3api put-bucket-versioning --bucket '$bucket'" \
        "--versioning-configuration Status=Enabled" >&2
      return 1
      ;;
  esac
  printf '%s' "$version"
}

source_bucket=$(ask Environment.SourceBucketArn)
if [ "${source_bucket##*:}" != "$bucket" ]; then
  echo "The environment $environment reads ${source_bucket##*:}, not $bucket." >&2
  exit 1
fi
dags=$(ask Environment.DagS3Path)
dags=${dags%/}

# What runs now finds its own manifest as before: each has a name of its own.
aws s3 sync "$here/dags" "s3://$bucket/$dags"
plugins=$(put plugins.zip)
requirements=$(put requirements.txt)
startup=$(put startup.sh)
aws mwaa update-environment --name "$environment" \
  --plugins-s3-path plugins.zip --plugins-s3-object-version "$plugins" \
  --requirements-s3-path requirements.txt --requirements-s3-object-version "$requirements" \
  --startup-script-s3-path startup.sh --startup-script-s3-object-version "$startup"

echo "The environment $environment is being updated ..."
while state=$(ask Environment.Status) && [ "$state" = UPDATING ]; do
  sleep "${KEDRO_ASTRO_PAUSE:-30}"
done
if [ "$state" != AVAILABLE ]; then
  echo "The environment $environment is $state. Why is in its logs, and here:" >&2
  ask Environment.LastUpdate.Error >&2
  exit 1
fi
# Manifests and files of kedro_astro that nothing uses any more.
aws s3 sync "$here/dags" "s3://$bucket/$dags" --delete --exclude '*' --include 'kedro_*'
echo "The environment $environment has the project now."
