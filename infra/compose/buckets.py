"""Make buckets in an S3-compatible store where they are not there yet: buckets.py ENDPOINT BUCKET ..."""

import sys

import boto3

endpoint, *wanted = sys.argv[1:]
store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
for bucket in wanted:
    if bucket not in there:
        store.create_bucket(Bucket=bucket)
