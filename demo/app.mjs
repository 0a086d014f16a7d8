// A small application for the demo's NocoBase: customers and orders, a page that greets the user, a table, a form, the same for
// phones, and two users with roles of their own. Runs with Node.js, which NocoBase needs anyway:
//
//   node app.mjs http://127.0.0.1:13000 admin@nocobase.com admin123
//
// Running it again changes nothing.
const [base, account, password] = process.argv.slice(-3);
let token;

async function call(path, body, { optional = false } = {}) {
  const response = await fetch(`${base}/api/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', 'x-authenticator': 'basic', ...(token && { authorization: `Bearer ${token}` }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok && !optional) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  return response.ok && text ? JSON.parse(text).data : undefined;
}

const text = (name, title) => ({
  name, interface: 'input', type: 'string', uiSchema: { type: 'string', title, 'x-component': 'Input' },
});
const number = (name, title) => ({
  name, interface: 'number', type: 'double', uiSchema: { type: 'number', title, 'x-component': 'InputNumber', 'x-component-props': { stringMode: true, step: '1' } },
});
const choice = (name, title, options) => ({
  name, interface: 'select', type: 'string',
  uiSchema: { type: 'string', title, 'x-component': 'Select', enum: options.map(([value, label, color]) => ({ value, label, color })) },
});
const system = [
  { name: 'id', type: 'bigInt', autoIncrement: true, primaryKey: true, allowNull: false, interface: 'integer', uiSchema: { type: 'number', title: '{{t("ID")}}', 'x-component': 'InputNumber', 'x-read-pretty': true } },
  { name: 'createdAt', interface: 'createdAt', type: 'date', field: 'createdAt', uiSchema: { type: 'datetime', title: '{{t("Created at")}}', 'x-component': 'DatePicker', 'x-component-props': {}, 'x-read-pretty': true } },
  { name: 'createdBy', interface: 'createdBy', type: 'belongsTo', target: 'users', foreignKey: 'createdById', uiSchema: { type: 'object', title: '{{t("Created by")}}', 'x-component': 'AssociationField', 'x-component-props': { fieldNames: { value: 'id', label: 'nickname' } }, 'x-read-pretty': true } },
];

async function collection(name, title, titleField, fields) {
  await call('collections:create', {
    name, title, titleField, autoGenId: false, createdBy: true, createdAt: true, updatedAt: true, updatedBy: true,
    logging: true, template: 'general', view: false, fields: [...system, ...fields],
  });
}

const uid = (name) => `demo_${name}`;
const component = (name, kind, rest = {}) => ({ type: 'void', name, 'x-uid': uid(name), 'x-component': kind, ...rest });
const rows = (prefix, blocks) =>
  Object.fromEntries(blocks.map((block, i) => {
    const [row, column] = [`${prefix}_row${i}`, `${prefix}_col${i}`];
    return [row, component(row, 'Grid.Row', { properties: { [column]: component(column, 'Grid.Col', { properties: { [block.name]: block } }) } })];
  }));

/** Text on a page; `$user` is the signed-in user. */
const words = (name, content) =>
  component(name, 'Markdown.Void', {
    'x-decorator': 'CardItem', 'x-editable': false, 'x-toolbar': 'BlockSchemaToolbar', 'x-settings': 'blockSettings:markdown',
    'x-component-props': { content, engine: 'handlebars' },
  });

const table = (name, of, columns) =>
  component(name, 'CardItem', {
    'x-decorator': 'TableBlockProvider', 'x-acl-action': `${of}:list`, 'x-use-decorator-props': 'useTableBlockDecoratorProps',
    'x-decorator-props': { collection: of, dataSource: 'main', action: 'list', params: { pageSize: 20, sort: ['-id'] }, rowKey: 'id', showIndex: true, dragSort: false },
    'x-toolbar': 'BlockSchemaToolbar', 'x-settings': 'blockSettings:table', 'x-filter-targets': [],
    properties: {
      [`${name}_rows`]: {
        ...component(`${name}_rows`, 'TableV2'), type: 'array', 'x-initializer': 'table:configureColumns',
        'x-use-component-props': 'useTableBlockProps', 'x-component-props': { rowKey: 'id', rowSelection: { type: 'checkbox' } },
        properties: Object.fromEntries(columns.map((field) => {
          const column = `${name}_${field}_column`;
          return [column, component(column, 'TableV2.Column', {
            'x-decorator': 'TableV2.Column.Decorator', 'x-toolbar': 'TableColumnSchemaToolbar', 'x-settings': 'fieldSettings:TableColumn',
            properties: {
              [field]: {
                name: field, 'x-uid': uid(`${name}_${field}`), 'x-collection-field': `${of}.${field}`, 'x-component': 'CollectionField',
                'x-component-props': { ellipsis: true }, 'x-read-pretty': true, 'x-decorator': null, 'x-decorator-props': { labelStyle: { display: 'none' } },
              },
            },
          })];
        })),
      },
    },
  });

const form = (name, of, fields) => {
  const items = fields.map(([field, type]) => ({
    type, name: field, 'x-uid': uid(`${name}_${field}`), 'x-component': 'CollectionField', 'x-decorator': 'FormItem', 'x-component-props': {},
    'x-collection-field': `${of}.${field}`, 'x-toolbar': 'FormItemSchemaToolbar', 'x-settings': 'fieldSettings:FormItem', required: true,
  }));
  return component(name, 'CardItem', {
    'x-acl-action-props': { skipScopeCheck: true }, 'x-acl-action': `${of}:create`, 'x-decorator': 'FormBlockProvider',
    'x-use-decorator-props': 'useCreateFormBlockDecoratorProps', 'x-decorator-props': { dataSource: 'main', collection: of },
    'x-toolbar': 'BlockSchemaToolbar', 'x-settings': 'blockSettings:createForm',
    properties: {
      [`${name}_form`]: component(`${name}_form`, 'FormV2', {
        'x-use-component-props': 'useCreateFormBlockProps',
        properties: {
          grid: { ...component('grid', 'Grid', { properties: rows(name, items) }), 'x-uid': uid(`${name}_grid`) },
          [`${name}_actions`]: component(`${name}_actions`, 'ActionBar', {
            'x-component-props': { layout: 'one-column' },
            properties: {
              [`${name}_submit`]: component(`${name}_submit`, 'Action', {
                title: '{{ t("Submit") }}', 'x-action': 'submit', 'x-use-component-props': 'useCreateActionProps',
                'x-component-props': { type: 'primary', htmlType: 'submit' }, 'x-settings': 'actionSettings:createSubmit',
                'x-action-settings': { triggerWorkflows: [] },
              }),
            },
          }),
        },
      }),
    },
  });
};

async function page(name, title, icon, blocks) {
  const [tab, tabName] = [`${name}_tab`, `${name}_tabname`];
  await call('uiSchemas:insert', component(name, 'Page', { 'x-async': false }));
  await call('uiSchemas:insert', {
    ...component(tabName, 'Grid', { 'x-initializer': 'page:addBlock', properties: rows(name, blocks) }), 'x-uid': uid(tab), 'x-async': true,
  });
  const route = await call('desktopRoutes:create', {
    type: 'page', title, icon, schemaUid: uid(name), menuSchemaUid: uid(`${name}_menu`), enableTabs: false, displayTitle: true,
    children: [{ type: 'tabs', title: 'Tab', schemaUid: uid(tab), tabSchemaName: tabName, hidden: true }],
  });
  const routes = [route.id, ...(route.children ?? []).map((c) => c.id)];
  for (const role of ['member', 'demo_manager']) await call(`roles/${role}/desktopRoutes:add`, routes);
}

/** The same below /m, for phones. */
async function mobilePage(name, title, icon, blocks) {
  const [id, tab] = [uid(name), uid(`${name}_tab`)];
  const content = {
    type: 'void', name: tab, 'x-uid': tab, 'x-async': true, 'x-component': 'Grid', 'x-component-props': { showDivider: false },
    'x-initializer': 'mobile:addBlock', properties: rows(name, blocks),
  };
  await call('uiSchemas:insert', {
    type: 'void', name: id, 'x-uid': id, 'x-component': 'MobilePageProvider', 'x-decorator': 'BlockItem',
    'x-decorator-props': { style: { height: '100%' } },
    properties: {
      header: {
        type: 'void', 'x-component': 'MobilePageHeader',
        properties: {
          pageNavigationBar: {
            type: 'void', 'x-component': 'MobilePageNavigationBar',
            properties: { actionBar: { type: 'void', 'x-component': 'MobileNavigationActionBar', 'x-initializer': 'mobile:navigation-bar:actions' } },
          },
          pageTabs: { type: 'void', 'x-component': 'MobilePageTabs' },
        },
      },
      content: { type: 'void', 'x-component': 'MobilePageContent', properties: { [tab]: content } },
    },
  });
  const route = await call('mobileRoutes:create', {
    type: 'page', title, icon, schemaUid: id, enableTabs: false, children: [{ type: 'tabs', title: 'Tab', schemaUid: tab }],
  });
  const routes = [route.id, ...(route.children ?? []).map((c) => c.id)];
  for (const role of ['member', 'demo_manager']) await call(`roles/${role}/mobileRoutes:add`, routes);
}

token = (await call('auth:signIn', { account, password })).token;
if (await call('collections:get?filterByTk=demo_orders')) process.exit(0);

await collection('demo_customers', 'Customers 客户', 'name', [text('name', 'Name 名称'), text('city', 'City 城市')]);
const state = choice('state', 'State 状态', [['open', 'Open 进行中', 'blue'], ['shipped', 'Shipped 已发货', 'green']]);
const customer = {
  name: 'customer', interface: 'm2o', type: 'belongsTo', target: 'demo_customers', foreignKey: 'customerId', targetKey: 'id',
  uiSchema: { type: 'object', title: 'Customer 客户', 'x-component': 'AssociationField', 'x-component-props': { multiple: false, fieldNames: { value: 'id', label: 'name' } } },
};
await collection('demo_orders', 'Orders 订单', 'title', [text('title', 'Order 订单'), number('amount', 'Amount 金额'), state, customer]);

const customers = [['Yangtze Trading 长江贸易', 'Wuhan 武汉'], ['Pearl Machines 珠江机械', 'Guangzhou 广州'], ['Great Wall Foods 长城食品', 'Beijing 北京']];
const made = [];
for (const [name, city] of customers) made.push(await call('demo_customers:create', { name, city }));
for (const [i, [title, amount, state]] of [['Pumps 水泵', 12800, 'open'], ['Valves 阀门', 4200, 'shipped'], ['Noodles 面条', 960, 'open']].entries()) {
  await call('demo_orders:create', { title, amount, state, customer: made[i].id });
}

// Members see and create orders; managers change and delete them too.
await call('roles:create', {
  name: 'demo_manager', title: 'Sales manager 销售经理', snippets: ['!ui.*', '!pm', '!pm.*'], allowNewMenu: true,
  strategy: { actions: ['create', 'view', 'update', 'destroy', 'export'] },
}, { optional: true });
await call('roles:update?filterByTk=member', { strategy: { actions: ['create', 'view', 'update:own'] } });
await call('users:create', { nickname: '张三', username: 'zhangsan', phone: '13800000001', roles: ['member'] }, { optional: true });
await call('users:create', { nickname: '李四', username: 'lisi', phone: '13800000002', roles: ['demo_manager'] }, { optional: true });

const hello = '# {{ $user.nickname }}，你好 · Hello {{ $user.nickname }}\n\nYou are signed in by WeCom, without a password: 您已通过企业微信登录，无需密码。\n\nPhone 手机: **{{ $user.phone }}**';
await page('home', 'Home 首页', 'homeoutlined', [words('home_hello', hello), table('home_orders', 'demo_orders', ['title', 'amount', 'state', 'customer', 'createdBy'])]);
await page('entry', 'New order 新订单', 'formoutlined', [form('entry_order', 'demo_orders', [['title', 'string'], ['amount', 'number'], ['state', 'string'], ['customer', 'object']])]);
await page('customers', 'Customers 客户', 'teamoutlined', [table('customers_list', 'demo_customers', ['name', 'city'])]);
await mobilePage('m_home', 'Home 首页', 'homeoutlined', [words('m_home_hello', hello), table('m_home_orders', 'demo_orders', ['title', 'amount', 'state'])]);
await mobilePage('m_entry', 'New order 新订单', 'formoutlined', [form('m_entry_order', 'demo_orders', [['title', 'string'], ['amount', 'number'], ['state', 'string'], ['customer', 'object']])]);
