'use strict';
// Drives node-vault as an application would; prints one JSON object for each of its commands.
const tv4 = require('tv4');
const commands = require('node-vault/src/commands.js');

const endpoint = process.env.VAULT_ADDR;
const vault = require('node-vault')({ apiVersion: 'v1', endpoint, token: process.env.VAULT_TOKEN });
const as = (token) => require('node-vault')({ apiVersion: 'v1', endpoint, token });

// The client does not look at its schemas, which know no null; Vault answers it in the same places.
const filled = (value) => (value && typeof value === 'object' && !Array.isArray(value)
  ? Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null).map(([k, v]) => [k, filled(v)]))
  : value);

function say(name, passed, detail = '') {
  console.log(JSON.stringify({ name, passed, detail: String(detail).slice(0, 200) }));
}

async function step(name, work) {
  try {
    const answer = await work();
    const command = commands[name.split(' ')[0]];
    const schema = command && command.schema && command.schema.res;
    if (schema && answer !== undefined && !tv4.validate(filled(answer), schema)) {
      say(name, false, `its schema: ${tv4.error.message} at ${tv4.error.dataPath}`);
    } else {
      say(name, true);
    }
    return answer || {};
  } catch (error) {
    say(name, false, error.message);
    return {};
  } finally {
    vault.token = process.env.VAULT_TOKEN; // a login or a new token would be used from now on
  }
}

function equal(one, other) {
  if (JSON.stringify(one) !== JSON.stringify(other)) {
    throw new Error(`${JSON.stringify(one)} is not ${JSON.stringify(other)}`);
  }
}

async function refused(name, status, work) {
  try {
    await work();
    say(name, false, 'it was taken');
  } catch (error) {
    const code = error.response && error.response.statusCode;
    say(name, code === status, `${code}: ${error.message}`);
  }
}

async function system() {
  await step('status', () => vault.status());
  await step('initialized', async () => equal(await vault.initialized(), { initialized: true }));
  await step('health', () => vault.health());
  await step('leader', () => vault.leader());
  await refused('init (again)', 400, () => vault.init({ secret_shares: 1, secret_threshold: 1 }));
  await step('mounts', () => vault.mounts());
  await step('mount', () => vault.mount({ mount_point: 'nv', type: 'kv' }));
  await step('remount', () => vault.remount({ from: 'nv', to: 'nv2' }));
  await step('unmount', () => vault.unmount({ mount_point: 'nv2' }));
  await step('auths', () => vault.auths());
  await step('addPolicy', () => vault.addPolicy({
    name: 'nv', rules: 'path "secret/*" { capabilities = ["read", "create", "update", "list"] }',
  }));
  await step('getPolicy', async () => {
    const got = await vault.getPolicy({ name: 'nv' });
    if (!got.rules.includes('secret/*')) throw new Error('another text came back');
  });
  await step('policies', () => vault.policies());
  await step('audits', () => vault.audits());
  await step('enableAudit', () => vault.enableAudit({ name: 'f', type: 'file' }));
  await step('rotate', () => vault.rotate());
  await step('stepDown', () => vault.stepDown());
  await step('generateRootInit', () => vault.generateRootInit());
  await step('generateRootCancel', () => vault.generateRootCancel());
}

async function secrets() {
  await step('write kv2', () => vault.write('secret/data/nv', { data: { a: '1' } }));
  await step('read kv2', async () => equal((await vault.read('secret/data/nv')).data.data, { a: '1' }));
  await step('update kv2', () => vault.update('secret/data/nv', { data: { b: '2' } }));
  await step('list kv2', async () => equal((await vault.list('secret/metadata')).data.keys, ['nv']));
  await step('destroySecretVersions', () => vault.destroySecretVersions({ path: 'nv', versions: [1] }));
  await step('delete kv2', () => vault.delete('secret/data/nv'));
  await refused('read kv2 (deleted)', 404, () => vault.read('secret/data/nv'));
  await vault.mount({ mount_point: 'nvk1', type: 'kv' });
  await step('write kv1', () => vault.write('nvk1/app', { a: '1' }));
  await step('read kv1', async () => equal((await vault.read('nvk1/app')).data, { a: '1' }));
  await step('list kv1', async () => equal((await vault.list('nvk1')).data.keys, ['app']));
  await step('delete kv1', () => vault.delete('nvk1/app'));
  await step('help', () => vault.help('secret'));
  await step('write cubbyhole', () => vault.write('cubbyhole/a', { x: '1' }));
}

async function tokens() {
  const made = await step('tokenCreate', () => vault.tokenCreate({ policies: ['nv'], ttl: '1h' }));
  const token = made.auth && made.auth.client_token;
  const accessor = made.auth && made.auth.accessor;
  await step('tokenCreateOrphan', () => vault.tokenCreateOrphan({ ttl: '1h' }));
  await step('addTokenRole', () => vault.addTokenRole({ role_name: 'nv', allowed_policies: 'nv' }));
  await step('getTokenRole', () => vault.getTokenRole({ role_name: 'nv' }));
  await step('tokenRoles', () => vault.tokenRoles());
  await step('tokenCreateRole', () => vault.tokenCreateRole({ role_name: 'nv' }));
  await step('removeTokenRole', () => vault.removeTokenRole({ role_name: 'nv' }));
  await step('tokenAccessors', () => vault.tokenAccessors());
  await step('tokenLookup', () => vault.tokenLookup({ token }));
  await step('tokenLookupAccessor', () => vault.tokenLookupAccessor({ accessor }));
  await step('tokenLookupSelf', () => as(token).tokenLookupSelf());
  await step('tokenLookupSelf root', () => vault.tokenLookupSelf());
  await step('tokenRenew', () => vault.tokenRenew({ token }));
  await step('tokenRenewSelf', () => as(token).tokenRenewSelf());
  await refused('tokenRenew (unknown)', 400, () => vault.tokenRenew({ token: 'hvs.none' }));
  await step('tokenRevokeSelf', () => as(token).tokenRevokeSelf());
  const others = [];
  for (let i = 0; i < 3; i += 1) {
    others.push(await vault.write('auth/token/create', {}));
  }
  await step('tokenRevoke', () => vault.tokenRevoke({ token: others[0].auth.client_token }));
  await step('tokenRevokeAccessor', () => vault.tokenRevokeAccessor({ accessor: others[1].auth.accessor }));
  await step('tokenRevokeOrphan', () => vault.tokenRevokeOrphan({ token: others[2].auth.client_token }));
  const wrapped = await vault.write('sys/wrapping/wrap', { a: '1' }, { headers: { 'X-Vault-Wrap-TTL': '60' } });
  await step('unwrap', () => vault.unwrap({ token: wrapped.wrap_info.token }));
  await step('revokePrefix', () => vault.revokePrefix({ path_prefix: 'auth/none' }));
  await step('revoke', () => vault.revoke({ lease_id: 'auth/none/x' }));
  await step('removePolicy', () => vault.removePolicy({ name: 'nv' }));
}

async function methods() {
  await step('enableAuth', () => vault.enableAuth({ mount_point: 'userpass', type: 'userpass' }));
  await vault.write('auth/userpass/users/ann', { password: 'correct horse' });
  await step('userpassLogin', () => vault.userpassLogin({ username: 'ann', password: 'correct horse' }));
  await step('disableAuth', () => vault.disableAuth({ mount_point: 'userpass' }));
  await vault.enableAuth({ mount_point: 'approle', type: 'approle' });
  const role = { role_name: 'nv' };
  await step('addApproleRole', () => vault.addApproleRole({ ...role, policies: 'default' }));
  await step('getApproleRole', () => vault.getApproleRole(role));
  await step('approleRoles', () => vault.approleRoles());
  const id = await step('getApproleRoleId', () => vault.getApproleRoleId(role));
  await step('updateApproleRoleId', () => vault.updateApproleRoleId({ ...role, role_id: 'nv-role-id-of-ours' }));
  await step('getApproleRoleSecret', () => vault.getApproleRoleSecret(role));
  // What the setting of the role relaxes works as in Vault.
  await vault.write('auth/approle/role/nv', { secret_id_wrapping: 'optional', secret_id_num_uses: 0 });
  const made = await step('getApproleRoleSecret (optional)', () => vault.getApproleRoleSecret(role));
  const data = made.data || {};
  await step('approleLogin (optional)', () => vault.approleLogin({
    role_id: 'nv-role-id-of-ours', secret_id: data.secret_id,
  }));
  await step('approleSecretAccessors', () => vault.approleSecretAccessors(role));
  await step('approleSecretLookup', () => vault.approleSecretLookup({ ...role, secret_id: data.secret_id }));
  const which = { ...role, secret_id_accessor: data.secret_id_accessor };
  await step('approleSecretAccessorLookup', () => vault.approleSecretAccessorLookup(which));
  await step('approleSecretAccessorDestroy', () => vault.approleSecretAccessorDestroy(which));
  await step('approleSecretDestroy', () => vault.approleSecretDestroy({ ...role, secret_id: data.secret_id }));
  await step('deleteApproleRole', () => vault.deleteApproleRole(role));
  return id;
}

async function main() {
  await system();
  await secrets();
  await tokens();
  await methods();
  await step('transitCreateKey', () => vault.transitCreateKey({ name: 'nv' }));
  await step('seal', () => vault.seal());
  await step('status (sealed)', () => vault.status());
  await step('leader (sealed)', () => vault.leader());
}

main().catch((error) => { console.error(error); process.exit(1); });
