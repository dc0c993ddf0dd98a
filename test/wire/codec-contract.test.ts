import { kserveV1 } from '../../src/wire/kserve-v1.ts';
import { oipV2Binary } from '../../src/wire/oip-v2-binary.ts';
import { oipV2 } from '../../src/wire/oip-v2.ts';
import { testCodec } from '../contract/codec.ts';
import { v1Group, v2BinaryGroup, v2Group } from './arbitraries.ts';
import { echoV1, echoV2, json } from './echo.ts';

testCodec({
  codec: kserveV1,
  group: v1Group,
  serve: echoV1,
  seeds: [
    json('{"instances":[[1,2.5],[3,4]],"signature_name":"a"}'),
    json('{"instances":[{"b64":"aGk="},{"b64":"eW8="}],"parameters":{"k":[1,null]}}'),
  ],
});

testCodec({
  codec: oipV2,
  group: v2Group,
  serve: echoV2,
  seeds: [
    json(
      '{"id":"a","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1.5,2,3,4e1]}],"outputs":[{"name":"y"}]}',
    ),
    json('{"inputs":[{"name":"x","shape":[1,2],"datatype":"BYTES","data":[["a]","\\u00e9"]],"parameters":{"a":1}}]}'),
  ],
});

const header = '{"id":"a","inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}';
testCodec({
  codec: oipV2Binary,
  group: v2BinaryGroup,
  serve: echoV2,
  seeds: [
    json(`${header}\0\0\0\0\0\0\0\0`, { 'inference-header-content-length': String(header.length) }),
    json(`${header}abcdefgh`, { 'inference-header-content-length': String(header.length) }),
  ],
});
