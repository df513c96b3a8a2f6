// Creates, updates and deletes a record with node-ovh, with the keys of the environment.
// The first argument is the name of the package.
const client = require(process.argv[2])({
  endpoint: "ovh-eu",
  appKey: process.env.OVH_APPLICATION_KEY,
  appSecret: process.env.OVH_APPLICATION_SECRET,
  consumerKey: process.env.OVH_CONSUMER_KEY,
});
const zone = "/domain/zone/example.org";

async function failure(method, path) {
  try {
    await client.requestPromised(method, path);
  } catch (refused) {
    return refused;
  }
}

async function main() {
  const me = (await client.requestPromised("GET", "/me")).nichandle;
  const fields = { fieldType: "A", subDomain: "new", target: "192.0.2.77", ttl: 60 };
  const made = await client.requestPromised("POST", `${zone}/record`, fields);
  const record = `${zone}/record/${made.id}`;
  await client.requestPromised("PUT", record, { target: "192.0.2.78" });
  const changed = (await client.requestPromised("GET", record)).target;
  const ids = await client.requestPromised("GET", `${zone}/record`, { subDomain: "new" });
  await client.requestPromised("DELETE", record);
  const gone = (await failure("GET", record)).error;
  console.log(JSON.stringify({ me, changed, listed: ids.includes(made.id), gone }));
}

main();
