// An allowed and a rejected call with node-ovh.
const client = require(process.argv[2])({
  endpoint: "ovh-eu",
  appKey: process.env.OVH_APPLICATION_KEY,
  appSecret: process.env.OVH_APPLICATION_SECRET,
  consumerKey: process.env.OVH_CONSUMER_KEY,
});

async function main() {
  console.log((await client.requestPromised("GET", "/me")).nichandle);
  try {
    await client.requestPromised("DELETE", "/domain/zone/example.org/record/1");
  } catch (refused) {
    console.log(refused.error, refused.message);
  }
}

main();
